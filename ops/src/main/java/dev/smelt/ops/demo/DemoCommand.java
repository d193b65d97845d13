package dev.smelt.ops.demo;

import dev.smelt.agent.Agent;
import dev.smelt.agent.cli.ResultOutput;
import dev.smelt.agent.config.ConfigFile;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.files.Folders;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code smelt demo}: the whole loop on one machine. */
@Command(
    name = "demo",
    description =
        "Serves a trained model, shifts its traffic, and shows how the compressed experts follow."
            + " Everything runs on this machine and ends with the command.",
    footer = {
      "  smelt demo",
      "  smelt demo --once --report r.json",
      "  smelt demo --checkpoint my-model --traffic texts --average-groups 24"
    })
public final class DemoCommand implements Callable<Integer> {

  private static final int CLIENTS = 3;
  private static final int DELETE_ATTEMPTS = 20;
  private static final Duration DELETE_PAUSE = Duration.ofMillis(100);

  @Spec private CommandSpec spec;

  @Option(
      names = "--checkpoint",
      paramLabel = "DIR",
      description = "A checkpoint of the Mixtral architecture; default: the trained fixture.")
  private @Nullable Path checkpoint;

  @Option(
      names = "--traffic",
      paramLabel = "DIR",
      description =
          "A folder with one .txt file a domain, at least four; default: the fixture's held-out"
              + " texts. The first two are phase A, the next two phase B.")
  private @Nullable Path traffic;

  @Option(names = "--report", paramLabel = "FILE", description = "Write the figures as JSON.")
  private @Nullable Path report;

  @Option(names = "--once", description = "Exit after the scenario instead of staying up.")
  private boolean once;

  @Option(
      names = "--average-groups",
      paramLabel = "A",
      defaultValue = "12",
      description =
          "Experts that a layer keeps the memory of, on average; default: ${DEFAULT-VALUE}.")
  private double averageGroups;

  @Mixin private ResultOutput result = new ResultOutput();

  @Override
  public Integer call() throws IOException, InterruptedException {
    Path fixture = home().resolve("tests/fixtures/byte-moe");
    Path model = checkpoint == null ? fixture : checkpoint;
    List<Domain> domains = Domain.readAll(traffic == null ? fixture.resolve("heldout") : traffic);
    Checkpoint.open(model).close();
    Path work = Files.createTempDirectory("smelt-demo-");
    Thread cleanUp = new Thread(() -> deleteInUse(work));
    Runtime.getRuntime().addShutdownHook(cleanUp);
    try {
      return run(model.toAbsolutePath().normalize(), domains, work);
    } finally {
      deleteInUse(work);
      removeHook(cleanUp);
    }
  }

  private int run(Path model, List<Domain> domains, Path work)
      throws IOException, InterruptedException {
    Progress progress = new Progress(spec.commandLine().getErr());
    String name = model.getFileName().toString();
    List<Domain> first = domains.subList(0, 2);
    List<Domain> second = domains.subList(2, 4);
    progress.step("starting the reference engine on " + name);
    URI api = URI.create("http://127.0.0.1:" + EngineProcess.freePort());
    try (EngineProcess engine = EngineProcess.start(model, name, api, work.resolve("engine.log"))) {
      progress.step("starting broker, streams, proxy and agent");
      try (Agent agent =
          Agent.start(ConfigFile.read(configuration(engine, api, name, model, domains, work)))) {
        progress.step("dashboard at " + agent.api() + ", clients send to " + agent.proxy(name));
        try (Clients clients = Clients.start(agent.proxy(name), name, first, CLIENTS)) {
          Report figures = new Scenario(agent, name, model, clients, progress).run(first, second);
          result.print(figures::json, out -> new ReportTable(figures).print(out));
          if (report != null) {
            figures.write(report);
          }
          clients
              .firstFailure()
              .ifPresent(failure -> progress.step("the first request that failed: " + failure));
          if (!once) {
            progress.step("staying up; the dashboard is at " + agent.api() + "; Ctrl-C ends");
            new CountDownLatch(1).await();
          }
          return figures.requests().failed() == 0 ? 0 : 1;
        }
      }
    }
  }

  private Path configuration(
      EngineProcess engine, URI api, String name, Path model, List<Domain> domains, Path work)
      throws IOException {
    List<String> texts = new ArrayList<>();
    Path gate = Files.createDirectory(work.resolve("gate"));
    for (Domain domain : domains) {
      Path text = Files.write(gate.resolve(domain.name() + ".txt"), domain.gateText());
      texts.add('"' + text.toString() + '"');
    }
    return Files.writeString(
        work.resolve("smelt.yaml"),
        String.format(
            Locale.ROOT,
            """
            data: data
            streams:
              window: 2s
              grace: 1s
              halfLife: 8s
              drift: {minimumRequests: 10, minimumReferenceWindows: 4, referenceWindows: 16, referenceLag: 1}
            api: {port: %d}
            management: {port: 0}
            models:
              - name: "%s"
                checkpoint: "%s"
                engine: {urls: ["%s"], dialect: sglang, format: compact}
                proxy: {port: 0, share: 1.0}
                compression: {strategy: smelt, averageGroups: %s}
                policy: {mode: auto, consecutiveWindows: 2, coolDown: 8s, minimumTokens: 8000}
                canary: {window: 4s}
                gate: {maximumLoss: 1.5, bytesPerText: 4096, texts: [%s]}
            """,
            api.getPort(),
            name,
            model,
            engine.url(),
            averageGroups,
            String.join(", ", texts)));
  }

  private static Path home() {
    return Path.of(System.getProperty("smelt.home", "."));
  }

  private static void removeHook(Thread cleanUp) {
    try {
      Runtime.getRuntime().removeShutdownHook(cleanUp);
    } catch (IllegalStateException ending) {
      // The hook runs or has run.
    }
  }

  /** Removes a folder that threads of this process may still write to for a moment. */
  private static void deleteInUse(Path folder) {
    for (int attempt = 0; attempt < DELETE_ATTEMPTS && Files.exists(folder); attempt++) {
      try {
        Folders.delete(folder);
      } catch (IOException | UncheckedIOException inUse) {
        LockSupport.parkNanos(DELETE_PAUSE.toNanos());
      }
    }
  }
}
