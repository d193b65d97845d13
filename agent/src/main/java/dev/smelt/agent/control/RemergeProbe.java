package dev.smelt.agent.control;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import dev.smelt.agent.config.CompressionSettings;
import dev.smelt.agent.merge.AlignmentCache;
import dev.smelt.agent.statistics.BlockMoments;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.ManifestDraft;
import dev.smelt.store.snapshot.Publication;
import dev.smelt.store.snapshot.SnapshotStore;
import dev.smelt.streams.usage.Usage;
import java.io.IOException;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.function.Function;

/** Makes and publishes candidates as the control loop does, to be measured. */
public final class RemergeProbe {

  private final Checkpoint checkpoint;
  private final SnapshotStore store;
  private final Smelter smelter;

  /**
   * @param strategy its name
   * @param memory the share of the expert memory to fill
   */
  public RemergeProbe(
      Checkpoint checkpoint,
      SnapshotStore store,
      String strategy,
      double memory,
      AlignmentCache alignments) {
    this.checkpoint = checkpoint;
    this.store = store;
    this.smelter =
        new Smelter(
            checkpoint,
            new CompressionSettings(null, null, null, null, null, null, null, null),
            strategy,
            OptionalDouble.of(memory),
            alignments,
            store::holds);
  }

  /** The snapshot of the full model, to begin from. */
  public Manifest full(String model) {
    try (Publication publication = store.begin(model)) {
      return publication.commit(ManifestDraft.of("bench", "start", "none", checkpoint.digest()));
    }
  }

  /**
   * Plans, makes what is not there, and publishes, for traffic of some usage.
   *
   * @param active what serves
   * @return the new snapshot; the active one if nothing material has changed
   */
  public Manifest remerge(
      Map<String, Usage> usage, Optional<Function<MoeBlock, BlockMoments>> moments, Manifest active)
      throws IOException {
    Smelter.Planned planned = smelter.plan(usage, moments, active);
    if (planned.reuse().everything()) {
      return active;
    }
    try (Publication publication = store.begin(active.model())) {
      smelter.compress(planned, active, publication, (block, done, all) -> {});
      return publication.commit(
          new ManifestDraft(
              Optional.of(active.id()),
              "bench",
              "hand",
              smelter.strategy(),
              checkpoint.digest(),
              smelter.toJson(planned.reuse().plan()),
              JsonNodeFactory.instance.objectNode(),
              JsonNodeFactory.instance.objectNode()));
    }
  }

  /** Bytes of the tensors of a snapshot that another does not have. */
  public static long added(Manifest next, Manifest active) {
    Set<String> known = new HashSet<>();
    active.tensors().values().forEach(tensor -> known.add(tensor.digest()));
    return next.tensors().values().stream()
        .filter(tensor -> known.add(tensor.digest()))
        .mapToLong(tensor -> tensor.bytes())
        .sum();
  }
}
