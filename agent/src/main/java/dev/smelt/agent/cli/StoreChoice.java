package dev.smelt.agent.cli;

import dev.smelt.store.http.StoreClient;
import dev.smelt.store.snapshot.SnapshotStore;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Clock;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;

/** Which store a command works on: a folder of this machine, or that of a running agent. */
final class StoreChoice {

  @Option(
      names = "--store",
      paramLabel = "DIR",
      defaultValue = "data/store",
      scope = ScopeType.INHERIT,
      description = "The store's folder; default: ${DEFAULT-VALUE}.")
  private Path folder = Path.of("data", "store");

  @Option(
      names = "--to",
      paramLabel = "URL",
      scope = ScopeType.INHERIT,
      description =
          "In place of the folder, the API of a running agent (ls, show, diff, activate,"
              + " rollback).")
  private @Nullable URI agent;

  @Option(
      names = "--token",
      paramLabel = "TOKEN",
      defaultValue = "${env:SMELT_TOKEN}",
      scope = ScopeType.INHERIT,
      description = "A bearer token for --to; default: the environment's SMELT_TOKEN.")
  private @Nullable String token;

  @Option(
      names = "--trust",
      paramLabel = "FILE",
      scope = ScopeType.INHERIT,
      description =
          "PEM certificates to trust with --to, in place of the system's; for an agent that"
              + " signed its own.")
  private @Nullable Path trusted;

  /** The store of the agent, if one was named. */
  Optional<StoreClient> remote() {
    return Optional.ofNullable(agent).map(this::client);
  }

  private StoreClient client(URI url) {
    Optional<String> secret = Optional.ofNullable(token).filter(given -> !given.isBlank());
    return trusted == null
        ? new StoreClient(url, secret)
        : StoreClient.trusting(trusted, url, secret);
  }

  /**
   * The store in the folder.
   *
   * @throws NoSuchFileException if there is none
   */
  SnapshotStore local() throws NoSuchFileException {
    if (agent != null) {
      throw new IllegalArgumentException("--to cannot do this; run it where the folder is");
    }
    if (!Files.isDirectory(folder)) {
      throw new NoSuchFileException(folder + " (name the store's folder with --store)");
    }
    return create();
  }

  /** The store in the folder, which is made where there is none. */
  SnapshotStore create() {
    return SnapshotStore.open(folder, Clock.systemUTC());
  }
}
