package dev.smelt.agent.cli;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import dev.smelt.store.http.AccessControl;
import dev.smelt.store.http.Caller;
import dev.smelt.store.http.Listen;
import dev.smelt.store.http.StoreServer;
import dev.smelt.store.snapshot.SnapshotStore;
import io.vertx.core.Vertx;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.Spec;

/** {@code smelt store serve}: the store's API without an agent. */
@Command(
    name = "serve",
    description =
        "Serves the store over HTTP without an agent, until Ctrl-C, for agents and people on other"
            + " machines. Other addresses than a loopback one need a token and TLS or the word that"
            + " plain text is meant.",
    footer = {
      "  smelt store serve --store /var/lib/smelt/store",
      "  smelt store serve --host 0.0.0.0 --certificate tls.crt --key tls.key --operator-token s3cr3t-s3cr3t-s3cr3t"
    })
final class StoreServeCommand implements Callable<Integer> {

  @Spec private CommandSpec spec;

  @ParentCommand private StoreCommand store;

  @Option(
      names = "--host",
      paramLabel = "ADDRESS",
      defaultValue = "127.0.0.1",
      description = "The address to listen on; default: ${DEFAULT-VALUE}.")
  private String host;

  @Option(
      names = "--port",
      paramLabel = "PORT",
      defaultValue = "7072",
      description = "The port, 0 for any free one; default: ${DEFAULT-VALUE}.")
  private int port;

  @Option(
      names = "--operator-token",
      paramLabel = "TOKEN",
      defaultValue = "${env:SMELT_OPERATOR_TOKEN}",
      description =
          "Who holds it may change refs; default: the environment's SMELT_OPERATOR_TOKEN.")
  private @Nullable String operatorToken;

  @Option(
      names = "--viewer-token",
      paramLabel = "TOKEN",
      defaultValue = "${env:SMELT_VIEWER_TOKEN}",
      description = "Who holds it may read; default: the environment's SMELT_VIEWER_TOKEN.")
  private @Nullable String viewerToken;

  @Option(
      names = "--certificate",
      paramLabel = "FILE",
      description = "A PEM certificate, for TLS; goes with --key.")
  private @Nullable Path certificate;

  @Option(names = "--key", paramLabel = "FILE", description = "The certificate's key, PEM.")
  private @Nullable Path key;

  @Option(
      names = "--plain",
      description = "Do without TLS on purpose, for example behind a proxy that encrypts.")
  private boolean plain;

  @Override
  public Integer call() throws Exception {
    if ((certificate == null) != (key == null)) {
      throw new ParameterException(spec.commandLine(), "--certificate and --key go together");
    }
    Vertx vertx = Vertx.vertx();
    try (SnapshotStore served = store.choice().create()) {
      StoreServer server =
          StoreServer.start(vertx, served, new Listen(host, port, transport()), access())
              .toCompletionStage()
              .toCompletableFuture()
              .get();
      store.print(
          JsonNodeFactory.instance.objectNode().put("host", host).put("port", server.port()),
          "the store's API is at port " + server.port() + " of " + host);
      new CountDownLatch(1).await();
    } finally {
      vertx.close().toCompletionStage().toCompletableFuture().get();
    }
    return 0;
  }

  private Listen.Transport transport() {
    if (certificate != null && key != null) {
      return new Listen.Transport.Tls(certificate, key);
    }
    return plain ? new Listen.Transport.PlainOnPurpose() : new Listen.Transport.Plain();
  }

  private AccessControl access() {
    Map<String, Caller> tokens = new LinkedHashMap<>();
    if (viewerToken != null && !viewerToken.isBlank()) {
      tokens.put(viewerToken, new Caller("viewer", Caller.Role.VIEWER));
    }
    if (operatorToken != null && !operatorToken.isBlank()) {
      tokens.put(operatorToken, new Caller("operator", Caller.Role.OPERATOR));
    }
    return tokens.isEmpty() ? AccessControl.local() : AccessControl.tokens(tokens);
  }
}
