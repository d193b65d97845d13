package dev.smelt.engine;

import io.vertx.core.Vertx;
import java.net.URI;
import java.nio.file.Path;
import java.time.Clock;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** The reference engine as a process. Exit codes: 1 where it can't serve, 2 for wrong usage. */
@Command(
    name = "reference-engine",
    description =
        "Serves a byte-level checkpoint of the Mixtral architecture with the interfaces of vLLM and"
            + " SGLang.",
    mixinStandardHelpOptions = true)
public final class ReferenceEngine implements Callable<Integer> {

  private static final Logger LOG = LoggerFactory.getLogger(ReferenceEngine.class);

  @Option(names = "--checkpoint", required = true, description = "Folder of the weights.")
  private Path checkpoint;

  @Option(names = "--host", defaultValue = "127.0.0.1", description = "Address to listen on.")
  private String host;

  @Option(
      names = "--port",
      defaultValue = "8000",
      description = "Port to listen on, 0 for any free one; the log names it.")
  private int port;

  @Option(
      names = "--model",
      description = "Name to serve under; the checkpoint folder's by default.")
  private @Nullable String model;

  @Option(
      names = "--weight-version",
      description = "Name of the weights in answers; the checkpoint folder's by default.")
  private @Nullable String weightVersion;

  @Option(
      names = "--dialect",
      defaultValue = "both",
      description = "Whose interface to speak beside OpenAI's: ${COMPLETION-CANDIDATES}.")
  private Dialect dialect;

  @Option(
      names = "--enable-return-routed-experts",
      description = "Add routed experts in vLLM's encoding to each answer that is not streamed.")
  private boolean routedExperts;

  @Option(
      names = "--workers",
      description = "Requests to calculate at the same time; as many as processors by default.")
  private @Nullable Integer workers;

  @Option(
      names = "--tap",
      description = "Agent to send routing traces with router logits to, as an engine hook would.")
  private @Nullable URI tap;

  @Option(
      names = "--moments-tap",
      description =
          "Agent to send second moments of the experts of --checkpoint to, as an engine hook"
              + " would, whatever weights serve.")
  private @Nullable URI momentsTap;

  @Option(
      names = "--moments-share",
      defaultValue = "0.1",
      description = "Share of the requests that they are measured on; default: ${DEFAULT-VALUE}.")
  private double momentsShare;

  private ReferenceEngine() {}

  public static void main(String[] arguments) {
    int exit =
        new CommandLine(new ReferenceEngine())
            .setCaseInsensitiveEnumValuesAllowed(true)
            .setExecutionExceptionHandler(
                (failure, command, parsed) -> {
                  command.getErr().println("reference-engine: " + Failures.message(failure));
                  return CommandLine.ExitCode.SOFTWARE;
                })
            .execute(arguments);
    if (exit != CommandLine.ExitCode.OK) {
      System.exit(exit);
    }
  }

  @Override
  public Integer call() throws Exception {
    ServedWeights weights = ServedWeights.load(checkpoint, Optional.ofNullable(weightVersion));
    EngineOptions options =
        new EngineOptions(
            checkpoint,
            host,
            port,
            model == null ? weights.version() : model,
            dialect,
            routedExperts,
            workers == null ? Runtime.getRuntime().availableProcessors() : workers,
            Optional.ofNullable(tap),
            Optional.ofNullable(momentsTap),
            momentsShare);
    Vertx vertx = Vertx.vertx();
    try {
      EngineServer server =
          EngineServer.start(vertx, options, weights, Clock.systemUTC())
              .toCompletionStage()
              .toCompletableFuture()
              .get();
      LOG.atInfo()
          .addKeyValue("model", options.model())
          .addKeyValue("checkpoint", checkpoint)
          .addKeyValue("port", server.port())
          .log("Serving");
      return CommandLine.ExitCode.OK;
    } catch (ExecutionException e) {
      vertx.close();
      throw new IllegalStateException(
          "can't listen on %s:%d: %s".formatted(host, port, Failures.message(e.getCause())), e);
    }
  }
}
