package dev.smelt.agent.compress;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.SideBySide;
import dev.smelt.agent.merge.BlockAligner;
import dev.smelt.agent.merge.GroupMerger;
import dev.smelt.agent.merge.MergedExpert;
import dev.smelt.agent.merge.NeuronOrders;
import dev.smelt.agent.plan.LayerPlan;
import dev.smelt.agent.plan.Plan;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.function.Consumer;
import java.util.stream.IntStream;

/** The groups of a plan, aligned and merged block by block whenever they are asked for. */
final class MergedGroups {

  /** Bytes that work may take beside the layer's results and as much again. */
  private static final long SPARE_BYTES = 1L << 29;

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

  /** What is done with a group's merged expert, by several threads at once. */
  interface Work<T> {
    T of(int group, MergedExpert merged);
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
   * Merges and works on the groups of a block that are wanted, as many side by side as memory
   * allows.
   *
   * @return the results in the order of the groups
   * @throws CancellationException when the thread is interrupted; the interrupt stays set
   */
  <T> List<T> each(MoeBlock block, Work<T> work) {
    LayerPlan ofBlock = plan(block);
    List<Integer> groups =
        IntStream.range(0, ofBlock.groups())
            .filter(group -> wanted.test(block, group))
            .boxed()
            .toList();
    NeuronOrders orders = aligner.align(block, ofBlock, groups::contains);
    List<T> results =
        SideBySide.map(
            atOnce(block),
            groups,
            group -> work.of(group, merger.merge(block, ofBlock, group, orders)));
    visited.accept(block);
    return results;
  }

  /**
   * Work takes up to four times the expert in 32-bit floats (its matrices, and of one of them a
   * copy, the factors and what LAPACK works in), and its moments twice.
   */
  private int atOnce(MoeBlock block) {
    long elements = 0;
    for (Role role : block.roles()) {
      elements += block.elements(role);
    }
    long moments = (long) block.hidden() * block.hidden() + (long) block.width() * block.width();
    long work = Float.BYTES * (4 * elements + 2 * moments);
    long free =
        Math.min(
            Runtime.getRuntime().maxMemory() / 2,
            block.experts() * checkpoint.expertBytes(block) + SPARE_BYTES);
    return (int) Math.max(1, Math.min(block.experts(), free / work));
  }
}
