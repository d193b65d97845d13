package dev.smelt.agent.compress;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.merge.ExpertWeights;
import dev.smelt.agent.merge.GroupMerger;
import dev.smelt.agent.plan.LayerPlan;
import dev.smelt.agent.plan.Plan;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.CompactNames;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.Tensor;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;

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
   * @throws CancellationException when the thread is interrupted; the interrupt stays set
   * @throws IOException from the sink
   */
  public void compress(
      Checkpoint checkpoint,
      Plan plan,
      CompressOptions options,
      CompactSink sink,
      Progress progress)
      throws IOException {
    GroupMerger merger =
        new GroupMerger(checkpoint, options.alignment(), options.alignments(), compute);
    List<MoeBlock> blocks = checkpoint.blocks();
    for (int layer = 0; layer < blocks.size(); layer++) {
      MoeBlock block = blocks.get(layer);
      LayerPlan ofBlock = fitting(plan, block);
      List<Tensor> tensors = new ArrayList<>();
      tensors.add(map(block, ofBlock));
      for (int group = 0; group < ofBlock.groups(); group++) {
        if (Thread.currentThread().isInterrupted()) {
          throw new CancellationException("the compression was cancelled");
        }
        ExpertWeights merged = merger.merge(block, ofBlock, group);
        tensors.addAll(tensors(checkpoint, block, group, merged, options));
      }
      sink.accept(block, tensors);
      progress.finished(block.name(), layer + 1, blocks.size());
    }
  }

  private static LayerPlan fitting(Plan plan, MoeBlock block) {
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

  private static Tensor map(MoeBlock block, LayerPlan plan) {
    int[] labels = plan.labels().stream().mapToInt(Integer::intValue).toArray();
    return Tensor.ints(CompactNames.map(block.name()), List.of((long) labels.length), labels);
  }

  private List<Tensor> tensors(
      Checkpoint checkpoint,
      MoeBlock block,
      int group,
      ExpertWeights merged,
      CompressOptions options) {
    List<Tensor> tensors = new ArrayList<>();
    for (Map.Entry<Role, Matrix> entry : merged.matrices().entrySet()) {
      Role role = entry.getKey();
      Matrix matrix = entry.getValue();
      DType dtype = checkpoint.expertDType(block, role);
      String name = CompactNames.weight(block.name(), group, role);
      if (role.bias()) {
        tensors.add(Tensor.floats(name, dtype, List.of((long) matrix.cols()), matrix.values()));
      } else {
        tensors.add(tensor(name, dtype, matrix));
      }
    }
    return tensors;
  }

  private static Tensor tensor(String name, DType dtype, Matrix matrix) {
    return Tensor.floats(
        name, dtype, List.of((long) matrix.rows(), (long) matrix.cols()), matrix.values());
  }
}
