package dev.smelt.tests;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.ManifestDraft;
import dev.smelt.store.snapshot.Publication;
import dev.smelt.store.snapshot.Reason;
import dev.smelt.store.snapshot.SnapshotStore;
import io.vertx.core.net.SelfSignedCertificate;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A store that is served by itself, and the commands that ask it. */
class StoreServeIT {

  private static final String OPERATOR = "the-token-of-ada-herself";
  private static final Pattern PORT = Pattern.compile("at port (\\d+) of 127\\.0\\.0\\.1");

  @TempDir private Path folder;

  @Test
  void shouldListAndActivateForWhoeverHoldsTheOperatorsToken() throws Exception {
    Path root = folder.resolve("store");
    SnapshotStore store = SnapshotStore.open(root, Clock.systemUTC());
    Manifest full = publish(store, "full");
    Manifest other = publish(store, "other");
    store.activate("my-model", full.id(), new Reason("ada", "a beginning", Optional.empty()));

    try (RunningCommand serving = serve(root, OPERATOR)) {
      String address = "http://127.0.0.1:" + port(serving);

      assertThat(ask(address, OPERATOR, "ls", "my-model").out()).contains(full.id(), other.id());
      CommandLineRun refused =
          ask(
              address,
              "a-token-of-nobody-here",
              "activate",
              "my-model",
              other.id(),
              "--why",
              "new");
      assertThat(refused.exitCode()).isEqualTo(1);
      assertThat(refused.err()).contains("bearer token");
      assertThat(active(store)).isEqualTo(full.id());

      CommandLineRun moved =
          ask(address, OPERATOR, "activate", "my-model", other.id(), "--why", "new");
      assertThat(moved.exitCode()).as(moved.err()).isZero();
      assertThat(active(store)).isEqualTo(other.id());
    }
  }

  @Test
  void shouldServeEncryptedToWhoeverTrustsItsCertificate() throws Exception {
    Path root = folder.resolve("store");
    publish(SnapshotStore.open(root, Clock.systemUTC()), "full");
    SelfSignedCertificate certificate = SelfSignedCertificate.create();

    try (RunningCommand serving =
        new RunningCommand(
            "store",
            "serve",
            "--store",
            root.toString(),
            "--port",
            "0",
            "--certificate",
            certificate.certificatePath(),
            "--key",
            certificate.privateKeyPath(),
            "--viewer-token",
            OPERATOR)) {
      String address = "https://localhost:" + port(serving);

      assertThat(
              ask(address, OPERATOR, "ls", "my-model", "--trust", certificate.certificatePath())
                  .out())
          .contains("full");
      assertThat(ask(address, OPERATOR, "ls", "my-model").err()).contains("--trust");
      assertThat(CommandLineRun.of("drift", "--to", address).err()).contains("--trust");
    } finally {
      certificate.delete();
    }
  }

  private static Manifest publish(SnapshotStore store, String strategy) {
    try (Publication publication = store.begin("my-model")) {
      return publication.commit(ManifestDraft.of("ada", "by hand", strategy, "sha256:0"));
    }
  }

  private static String active(SnapshotStore store) {
    return store.ref("my-model", "active").orElseThrow().snapshot();
  }

  /** Serves a store at a free port; whoever holds the token is an operator. */
  static RunningCommand serve(Path root, String operator) {
    return new RunningCommand(
        "store", "serve", "--store", root.toString(), "--port", "0", "--operator-token", operator);
  }

  static String port(RunningCommand serving) {
    return await()
        .atMost(Duration.ofMinutes(1))
        .until(() -> PORT.matcher(serving.out()), Matcher::find)
        .group(1);
  }

  private static CommandLineRun ask(String address, String token, String... command) {
    String[] arguments = new String[command.length + 5];
    arguments[0] = "store";
    System.arraycopy(command, 0, arguments, 1, command.length);
    System.arraycopy(
        new String[] {"--to", address, "--token", token}, 0, arguments, command.length + 1, 4);
    return CommandLineRun.of(arguments);
  }
}
