package dev.smelt.agent.statistics;

import java.util.ArrayList;
import java.util.List;

/**
 * What the down projections of a block's merged experts are fitted to. Additive, as long as the
 * groups and their merged gate and up projections stay the same.
 *
 * @param block the block's name as in the checkpoint
 * @param groups one entry per group
 */
public record BlockRefit(String block, List<GroupMoments> groups) {

  public BlockRefit {
    groups = List.copyOf(groups);
  }

  /**
   * @throws StatisticsException if the blocks are not of one shape
   */
  public BlockRefit plus(BlockRefit other) {
    if (!other.block.equals(block) || other.groups.size() != groups.size()) {
      throw new StatisticsException(
          "moments of %s with %d groups can't be added to those of %s with %d"
              .formatted(other.block, other.groups.size(), block, groups.size()));
    }
    List<GroupMoments> sums = new ArrayList<>();
    for (int group = 0; group < groups.size(); group++) {
      sums.add(groups.get(group).plus(other.groups.get(group)));
    }
    return new BlockRefit(block, sums);
  }
}
