package dev.smelt.agent.compress;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.merge.BlockAligner;
import dev.smelt.agent.plan.Plan;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.safetensors.Tensor;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** Turns a checkpoint's experts into those of a plan, one block at a time. */
public final class Compressor {

  private final Compute compute;

  public Compressor(Compute compute) {
    this.compute = compute;
  }

  /**
   * Compresses every block of the plan.
   *
   * <p>Failure semantics: blocks that the sink has taken stay with the sink; it is the sink's part
   * to make nothing of them visible before the last one.
   *
   * @throws CompressionException if plan and checkpoint don't fit
   * @throws dev.smelt.agent.merge.MergeException if a weight is NaN or infinite
   * @throws java.util.concurrent.CancellationException when the thread is interrupted; the
   *     interrupt stays set
   * @throws IOException from the sink
   */
  public void compress(
      Checkpoint checkpoint,
      Plan plan,
      CompressOptions options,
      CompactSink sink,
      Progress progress)
      throws IOException {
    BlockAligner aligner =
        new BlockAligner(
            checkpoint, options.alignment(), options.alignments(), compute, progress::aligned);
    MergedGroups groups =
        new MergedGroups(
            checkpoint, plan, aligner, compute, (block, group) -> !sink.holds(block, group));
    Reduction.Writer writer = options.reduction().prepare(groups.measuredFor(progress));
    List<MoeBlock> blocks = groups.blocks();
    for (int layer = 0; layer < blocks.size(); layer++) {
      MoeBlock block = blocks.get(layer);
      if (!sink.holds(block)) {
        sink.accept(block, tensors(groups, block, writer.of(block)));
      }
      progress.finished(block.name(), layer + 1, blocks.size());
    }
  }

  private static List<Tensor> tensors(
      MergedGroups groups, MoeBlock block, Reduction.GroupWriter writer) {
    List<Tensor> tensors = new ArrayList<>();
    tensors.add(CompactTensors.map(block, groups.plan(block)));
    groups
        .each(
            block,
            (group, merged) -> {
              CompactTensors ofGroup = new CompactTensors(groups.checkpoint(), block, group);
              writer.write(ofGroup, merged);
              return ofGroup.all();
            })
        .forEach(tensors::addAll);
    return tensors;
  }
}
