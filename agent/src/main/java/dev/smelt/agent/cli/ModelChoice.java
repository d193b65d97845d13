package dev.smelt.agent.cli;

import dev.smelt.agent.inference.MoeModel;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.SnapshotStore;
import java.nio.file.Path;
import java.time.Clock;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Option;

/** Which model to run: a checkpoint folder, or one with the experts of a snapshot. */
final class ModelChoice {

  @Option(
      names = "--checkpoint",
      required = true,
      paramLabel = "DIR",
      description = "The model's folder, in any form; with --snapshot the original one.")
  private Path checkpoint;

  @ArgGroup(exclusive = false)
  private @Nullable SnapshotChoice snapshot;

  /** A snapshot in a store. */
  private static final class SnapshotChoice {

    @Option(
        names = "--store",
        required = true,
        paramLabel = "DIR",
        description = "The store's folder; goes with --snapshot.")
    private Path store;

    @Option(
        names = "--snapshot",
        required = true,
        paramLabel = "ID",
        description = "The snapshot whose experts to use; goes with --store.")
    private String id;

    @Option(
        names = "--model",
        paramLabel = "NAME",
        description = "The model's name in the store; the checkpoint folder's by default.")
    private @Nullable String model;
  }

  /** A model and what to call it. */
  record Named(String name, MoeModel model) {}

  Path checkpoint() {
    return checkpoint;
  }

  Named load() {
    try (Checkpoint opened = Checkpoint.open(checkpoint)) {
      SnapshotChoice chosen = snapshot;
      if (chosen == null) {
        return new Named(opened.name(), MoeModel.load(opened));
      }
      String name = chosen.model == null ? opened.name() : chosen.model;
      try (SnapshotStore store = SnapshotStore.open(chosen.store, Clock.systemUTC())) {
        Manifest manifest = store.manifest(name, chosen.id);
        if (!manifest.checkpointDigest().equals(opened.digest())) {
          throw new IllegalArgumentException(
              "%s: is not the checkpoint that snapshot %s was made from, %s"
                  .formatted(checkpoint, manifest.id(), manifest.checkpointDigest()));
        }
        return new Named(name, MoeModel.load(opened, store.tensors(manifest)));
      }
    }
  }
}
