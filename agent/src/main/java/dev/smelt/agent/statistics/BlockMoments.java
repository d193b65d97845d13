package dev.smelt.agent.statistics;

import java.util.ArrayList;
import java.util.List;

/**
 * The second moments of a block's experts. Additive: moments of parts of the traffic add up to
 * those of all of it.
 *
 * @param block the block's name as in the checkpoint
 * @param experts one entry per expert
 */
public record BlockMoments(String block, List<ExpertMoments> experts) {

  public BlockMoments {
    experts = List.copyOf(experts);
  }

  /**
   * @throws StatisticsException if the blocks are not of one shape
   */
  public BlockMoments plus(BlockMoments other) {
    if (!other.block.equals(block) || other.experts.size() != experts.size()) {
      throw new StatisticsException(
          "moments of %s with %d experts can't be added to those of %s with %d"
              .formatted(other.block, other.experts.size(), block, experts.size()));
    }
    List<ExpertMoments> sums = new ArrayList<>();
    for (int expert = 0; expert < experts.size(); expert++) {
      sums.add(experts.get(expert).plus(other.experts.get(expert)));
    }
    return new BlockMoments(block, sums);
  }
}
