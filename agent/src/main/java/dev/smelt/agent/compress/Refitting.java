package dev.smelt.agent.compress;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.merge.ExpertWeights;
import dev.smelt.agent.plan.LayerPlan;
import dev.smelt.agent.statistics.BlockRefit;
import dev.smelt.agent.statistics.GroupMoments;
import dev.smelt.agent.statistics.RefitRecording;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import java.io.IOException;
import java.util.function.Function;
import java.util.stream.IntStream;

/**
 * Merged experts keep their gate and up projections; the down projection is fitted in closed form
 * to the outputs of the experts that they stand for. A group of one, and one that fewer than {@link
 * #LEAST_TOKENS} tokens are known of, stays as it was merged.
 *
 * @param moments of each block's groups, recorded with the same merged gate and up projections
 */
public record Refitting(Function<MoeBlock, BlockRefit> moments) implements Reduction {

  /** Fits to fewer tokens than these are worse than the average of the members. */
  public static final int LEAST_TOKENS = 32;

  /**
   * Prepares to record what the merged experts of a recipe are to be fitted to. They are merged in
   * memory.
   *
   * @throws CompressionException if plan and checkpoint don't fit
   * @throws dev.smelt.agent.statistics.StatisticsException for experts that are not gated by SiLU
   */
  public static RefitRecording recording(Compute compute, Checkpoint checkpoint, Recipe recipe)
      throws IOException {
    MemoryTensors merged = new MemoryTensors();
    new Compressor(compute)
        .compress(
            checkpoint,
            recipe.plan(),
            recipe.reducedBy(new Whole()).options(),
            merged,
            Progress.none());
    return new RefitRecording(compute, checkpoint.blocks(), merged);
  }

  @Override
  public Writer prepare(MergedGroups groups) {
    return block -> {
      LayerPlan plan = groups.plan(block);
      BlockRefit ofBlock = moments.apply(block);
      if (ofBlock.groups().size() != plan.groups()) {
        throw new CompressionException(
            "%s: the moments are of %d groups, the plan has %d; record them for this plan"
                .formatted(block.name(), ofBlock.groups().size(), plan.groups()));
      }
      return (tensors, merged) -> {
        GroupMoments ofGroup = ofBlock.groups().get(tensors.group());
        if (ofGroup.tokens() < LEAST_TOKENS || plan.members(tensors.group()).size() == 1) {
          tensors.whole(merged);
          return;
        }
        ExpertWeights weights = merged.weights();
        ActivationFit fit = ActivationFit.to(weights, ofGroup);
        int[] all = IntStream.range(0, weights.width()).toArray();
        tensors.whole(fit.narrowed(groups.compute(), weights, all));
      };
    };
  }

  @Override
  public int passes() {
    return 1;
  }
}
