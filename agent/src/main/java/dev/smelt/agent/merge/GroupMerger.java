package dev.smelt.agent.merge;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.plan.LayerPlan;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;

/**
 * Makes one expert out of a group's members: reads them from the checkpoint one by one, aligns each
 * to the reference and averages. Safe for use by several threads.
 */
public final class GroupMerger {

  private final Checkpoint checkpoint;
  private final Alignment alignment;
  private final AlignmentCache cache;
  private final Aligner aligner;

  public GroupMerger(
      Checkpoint checkpoint, Alignment alignment, AlignmentCache cache, Compute compute) {
    this.checkpoint = checkpoint;
    this.alignment = alignment;
    this.cache = cache;
    this.aligner = new Aligner(compute);
  }

  /**
   * The group's merged expert, aligned but not yet averaged. A group of one is that expert,
   * unchanged. Where no member has any weight, the dominant expert stands for the group.
   *
   * @throws MergeException if a weight that is needed to align is NaN or infinite
   */
  public MergedExpert merge(MoeBlock block, LayerPlan plan, int group) {
    int dominant = plan.dominant().get(group);
    List<Integer> weighty =
        plan.members(group).stream().filter(member -> plan.weights().get(member) > 0).toList();
    if (plan.members(group).size() == 1 || weighty.isEmpty()) {
      return MergedExpert.alone(checkpoint, block, dominant);
    }
    OptionalInt reference = alignment.reference(dominant);
    LazyExpert to = new LazyExpert(block, reference.orElse(dominant));
    List<MergedExpert.Member> members = new ArrayList<>();
    for (int member : weighty) {
      boolean stays = reference.isEmpty() || member == reference.getAsInt();
      members.add(
          new MergedExpert.Member(
              member, plan.weights().get(member), stays ? null : permutation(block, to, member)));
    }
    return MergedExpert.average(checkpoint, block, members);
  }

  private int[] permutation(MoeBlock block, LazyExpert to, int member) {
    AlignmentCache.Pair pair = new AlignmentCache.Pair(block.name(), to.index, member);
    return cache
        .find(pair)
        .filter(permutation -> permutation.length == block.width())
        .orElseGet(
            () -> {
              int[] permutation =
                  aligner.permutation(to.weights(), ExpertWeights.read(checkpoint, block, member));
              cache.keep(pair, permutation);
              return permutation;
            });
  }

  /** The reference is read only if an alignment is not known yet. */
  private final class LazyExpert {
    private final MoeBlock block;
    private final int index;
    private @Nullable ExpertWeights weights;

    LazyExpert(MoeBlock block, int index) {
      this.block = block;
      this.index = index;
    }

    ExpertWeights weights() {
      if (weights == null) {
        weights = ExpertWeights.read(checkpoint, block, index);
      }
      return weights;
    }
  }
}
