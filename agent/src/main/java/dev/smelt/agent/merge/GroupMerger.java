package dev.smelt.agent.merge;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.plan.LayerPlan;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
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
   * The group's merged expert. A group of one is that expert, unchanged. Where no member has any
   * weight, the dominant expert stands for the group.
   *
   * @throws MergeException if a weight of the checkpoint is NaN or infinite
   */
  public ExpertWeights merge(MoeBlock block, LayerPlan plan, int group) {
    int dominant = plan.dominant().get(group);
    List<Integer> weighty =
        plan.members(group).stream().filter(member -> plan.weights().get(member) > 0).toList();
    if (plan.members(group).size() == 1 || weighty.isEmpty()) {
      return ExpertWeights.read(checkpoint, block, dominant);
    }
    WeightedMerge merge = new WeightedMerge();
    OptionalInt reference = alignment.reference(dominant);
    LazyExpert to = new LazyExpert(block, reference.orElse(dominant));
    for (int member : weighty) {
      double weight = plan.weights().get(member);
      ExpertWeights expert = ExpertWeights.read(checkpoint, block, member);
      if (reference.isEmpty() || member == reference.getAsInt()) {
        merge.add(expert, weight);
      } else {
        merge.add(expert, weight, permutation(block, to, member, expert));
      }
    }
    return merge.result();
  }

  private int[] permutation(MoeBlock block, LazyExpert to, int member, ExpertWeights expert) {
    AlignmentCache.Pair pair = new AlignmentCache.Pair(block.name(), to.index, member);
    return cache
        .find(pair)
        .filter(permutation -> permutation.length == expert.width())
        .orElseGet(
            () -> {
              int[] permutation = aligner.permutation(to.weights(), expert);
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
