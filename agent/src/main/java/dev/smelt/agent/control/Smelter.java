package dev.smelt.agent.control;

import dev.smelt.agent.compress.CompressOptions;
import dev.smelt.agent.compress.Compressor;
import dev.smelt.agent.compress.Progress;
import dev.smelt.agent.compress.Whole;
import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.config.CompressionSettings;
import dev.smelt.agent.merge.Alignment;
import dev.smelt.agent.merge.AlignmentCache;
import dev.smelt.agent.plan.Budget;
import dev.smelt.agent.plan.Plan;
import dev.smelt.agent.plan.PlanOptions;
import dev.smelt.agent.plan.Planner;
import dev.smelt.agent.plan.Similarity;
import dev.smelt.agent.plan.Strategy;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.snapshot.Publication;
import dev.smelt.streams.profile.Profile;
import java.io.IOException;
import java.util.Map;
import java.util.Optional;

/** Makes a candidate of a checkpoint from a profile, as the settings say. */
final class Smelter {

  private final Checkpoint checkpoint;
  private final PlanOptions options;
  private final CompressOptions compression;
  private final Compressor compressor = new Compressor(Compute.cpu());

  /**
   * @throws RuntimeException if a name in the settings is unknown; the message lists the known ones
   */
  Smelter(Checkpoint checkpoint, CompressionSettings settings) {
    this.checkpoint = checkpoint;
    this.options =
        new PlanOptions(
            Strategy.named(settings.strategy()),
            Similarity.named(settings.similarity()),
            Budget.EXACT,
            Optional.ofNullable(settings.averageGroups()).orElseGet(this::threeQuarters));
    this.compression =
        new CompressOptions(
            Alignment.named(settings.align()), AlignmentCache.inMemory(), new Whole());
  }

  Plan plan(Map<String, Profile> profiles) {
    return Planner.plan(checkpoint, profiles, options);
  }

  /** Writes the experts of a plan to a publication, block by block. */
  void compress(Plan plan, Publication publication, Progress progress) throws IOException {
    compressor.compress(
        checkpoint,
        plan,
        compression,
        (block, tensors) -> tensors.forEach(publication::add),
        progress);
  }

  private double threeQuarters() {
    return checkpoint.blocks().stream().mapToInt(block -> block.experts()).average().orElse(0)
        * 0.75;
  }
}
