package dev.smelt.agent.compress;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.merge.BlockAligner;
import dev.smelt.agent.merge.GroupMerger;
import dev.smelt.agent.merge.MergedExpert;
import dev.smelt.agent.merge.NeuronOrders;
import dev.smelt.agent.plan.LayerPlan;
import dev.smelt.agent.plan.Plan;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.function.Consumer;

/** The groups of a plan, aligned together and merged one by one whenever they are asked for. */
final class MergedGroups {

  private final Checkpoint checkpoint;
  private final Plan plan;
  private final BlockAligner aligner;
  private final GroupMerger merger;
  private final Compute compute;
  private final Wanted wanted;
  private final Consumer<MoeBlock> visited;

  /** Which groups are to be made. */
  interface Wanted {
    boolean test(MoeBlock block, int group);
  }

  /** A group's merged expert. */
  interface Visitor {
    void visit(int group, MergedExpert merged);
  }

  MergedGroups(
      Checkpoint checkpoint, Plan plan, BlockAligner aligner, Compute compute, Wanted wanted) {
    this(checkpoint, plan, aligner, compute, wanted, block -> {});
    blocks().forEach(this::plan);
  }

  private MergedGroups(
      Checkpoint checkpoint,
      Plan plan,
      BlockAligner aligner,
      Compute compute,
      Wanted wanted,
      Consumer<MoeBlock> visited) {
    this.checkpoint = checkpoint;
    this.plan = plan;
    this.aligner = aligner;
    this.merger = new GroupMerger(checkpoint);
    this.compute = compute;
    this.wanted = wanted;
    this.visited = visited;
  }

  /** The same groups; each block that has been visited counts as measured. */
  MergedGroups measuredFor(Progress progress) {
    List<MoeBlock> blocks = blocks();
    return new MergedGroups(
        checkpoint,
        plan,
        aligner,
        compute,
        wanted,
        block -> progress.measured(block.name(), blocks.indexOf(block) + 1, blocks.size()));
  }

  Checkpoint checkpoint() {
    return checkpoint;
  }

  Compute compute() {
    return compute;
  }

  List<MoeBlock> blocks() {
    return checkpoint.blocks();
  }

  LayerPlan plan(MoeBlock block) {
    LayerPlan layer =
        plan.layer(block.name())
            .orElseThrow(
                () ->
                    new CompressionException(
                        block.name() + ": the plan says nothing about this block; plan again"));
    if (layer.experts() != block.experts()) {
      throw new CompressionException(
          "%s: the plan is for %d experts, the checkpoint has %d; plan again"
              .formatted(block.name(), layer.experts(), block.experts()));
    }
    return layer;
  }

  /**
   * Merges and visits the groups of a block that are wanted.
   *
   * @throws CancellationException when the thread is interrupted
   */
  void each(MoeBlock block, Visitor visitor) {
    LayerPlan ofBlock = plan(block);
    NeuronOrders orders = aligner.align(block, ofBlock, group -> wanted.test(block, group));
    for (int group = 0; group < ofBlock.groups(); group++) {
      if (!wanted.test(block, group)) {
        continue;
      }
      if (Thread.currentThread().isInterrupted()) {
        throw new CancellationException("the compression was cancelled");
      }
      visitor.visit(group, merger.merge(block, ofBlock, group, orders));
    }
    visited.accept(block);
  }
}
