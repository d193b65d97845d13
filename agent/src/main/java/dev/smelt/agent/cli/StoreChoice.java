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
import picocli.CommandLine.Mixin;
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

  @Mixin private AgentAccess access = new AgentAccess();

  /** The store of the agent, if one was named. */
  Optional<StoreClient> remote() {
    return Optional.ofNullable(agent).map(this::client);
  }

  private StoreClient client(URI url) {
    return access
        .trusted()
        .map(certificates -> StoreClient.trusting(certificates, url, access.token()))
        .orElseGet(() -> new StoreClient(url, access.token()));
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
