package dev.smelt.agent.merge;

import dev.smelt.agent.plan.LayerPlan;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import java.util.List;

/** Makes one expert out of a group's members. Safe for use by several threads. */
public final class GroupMerger {

  private final Checkpoint checkpoint;

  public GroupMerger(Checkpoint checkpoint) {
    this.checkpoint = checkpoint;
  }

  /**
   * The group's merged expert, not yet averaged. A group of one is that expert, unchanged. Where no
   * member has any weight, the dominant expert stands for the group.
   *
   * @param orders of the group's members, from {@link BlockAligner#align}
   */
  public MergedExpert merge(MoeBlock block, LayerPlan plan, int group, NeuronOrders orders) {
    List<Integer> weighty =
        plan.members(group).stream().filter(member -> plan.weights().get(member) > 0).toList();
    if (plan.members(group).size() == 1 || weighty.isEmpty()) {
      return MergedExpert.alone(checkpoint, block, plan.dominant().get(group));
    }
    return MergedExpert.average(
        checkpoint,
        block,
        weighty.stream()
            .map(
                member ->
                    new MergedExpert.Member(member, plan.weights().get(member), orders.of(member)))
            .toList());
  }
}
