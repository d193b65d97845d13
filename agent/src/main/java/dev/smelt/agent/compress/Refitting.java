package dev.smelt.agent.compress;

import dev.smelt.agent.merge.ExpertWeights;
import dev.smelt.agent.statistics.BlockRefit;
import dev.smelt.store.checkpoint.MoeBlock;
import java.util.function.Function;
import java.util.stream.IntStream;

/**
 * Merged experts keep their gate and up projections; the down projection is fitted in closed form
 * to the outputs of the experts that they stand for.
 *
 * @param moments of each block's groups, recorded with the same merged gate and up projections
 */
public record Refitting(Function<MoeBlock, BlockRefit> moments) implements Reduction {

  @Override
  public Writer prepare(MergedGroups groups) {
    return (tensors, group, merged) -> {
      BlockRefit ofBlock = moments.apply(tensors.block());
      if (ofBlock.groups().size() != groups.plan(tensors.block()).groups()) {
        throw new CompressionException(
            "%s: the moments are of %d groups, the plan has %d; record them for this plan"
                .formatted(
                    tensors.block().name(),
                    ofBlock.groups().size(),
                    groups.plan(tensors.block()).groups()));
      }
      ExpertWeights weights = merged.weights();
      ActivationFit fit = ActivationFit.to(weights, ofBlock.groups().get(group));
      int[] all = IntStream.range(0, weights.width()).toArray();
      tensors.whole(group, fit.narrowed(groups.compute(), weights, all));
    };
  }
}
