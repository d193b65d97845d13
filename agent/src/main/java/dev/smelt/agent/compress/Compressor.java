package dev.smelt.agent.compress;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.merge.ExpertWeights;
import dev.smelt.agent.merge.GroupMerger;
import dev.smelt.agent.plan.LayerPlan;
import dev.smelt.agent.plan.Plan;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
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
    Run run = new Run(checkpoint, plan, options);
    List<MoeBlock> blocks = checkpoint.blocks();
    blocks.forEach(block -> fitting(plan, block));
    GroupWriter writer = run.writer();
    for (int layer = 0; layer < blocks.size(); layer++) {
      MoeBlock block = blocks.get(layer);
      CompactTensors tensors = new CompactTensors(checkpoint, block, fitting(plan, block));
      run.eachGroup(block, (group, merged) -> writer.write(tensors, group, merged));
      sink.accept(block, tensors.all());
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

  private interface GroupWriter {
    void write(CompactTensors tensors, int group, ExpertWeights merged);
  }

  private interface GroupVisitor {
    void visit(int group, ExpertWeights merged);
  }

  private final class Run {
    private final Checkpoint checkpoint;
    private final Plan plan;
    private final CompressOptions options;
    private final GroupMerger merger;

    Run(Checkpoint checkpoint, Plan plan, CompressOptions options) {
      this.checkpoint = checkpoint;
      this.plan = plan;
      this.options = options;
      this.merger = new GroupMerger(checkpoint, options.alignment(), options.alignments(), compute);
    }

    void eachGroup(MoeBlock block, GroupVisitor visitor) {
      LayerPlan ofBlock = fitting(plan, block);
      for (int group = 0; group < ofBlock.groups(); group++) {
        if (Thread.currentThread().isInterrupted()) {
          throw new CancellationException("the compression was cancelled");
        }
        visitor.visit(group, merger.merge(block, ofBlock, group));
      }
    }

    GroupWriter writer() {
      if (options.factoring().isEmpty()) {
        return CompactTensors::whole;
      }
      Factoring factoring = options.factoring().get();
      double threshold = threshold(factoring);
      return (tensors, group, merged) ->
          merged
              .matrices()
              .forEach(
                  (role, matrix) -> factor(tensors, group, role, matrix, factoring, threshold));
    }

    private void factor(
        CompactTensors tensors,
        int group,
        Role role,
        Matrix matrix,
        Factoring factoring,
        double threshold) {
      if (role.bias()) {
        tensors.whole(group, role, matrix);
        return;
      }
      LowRank lowRank = lowRank(matrix, factoring);
      Matrix residual = lowRank.residual(compute, matrix);
      tensors.factored(
          group,
          role,
          lowRank,
          RowSparse.atLeast(threshold, RowSparse.magnitude(residual), residual));
    }

    /**
     * The threshold is one for all matrices of the model, so that it takes a pass of its own: to
     * factor everything twice costs time, to keep everything would cost memory without bound.
     */
    private double threshold(Factoring factoring) {
      if (factoring.keep() == 0) {
        return Double.POSITIVE_INFINITY;
      }
      if (factoring.keep() == 1) {
        return 0;
      }
      List<RowSparse.Importance> residuals = new ArrayList<>();
      for (MoeBlock block : checkpoint.blocks()) {
        eachGroup(
            block,
            (group, merged) ->
                merged
                    .matrices()
                    .forEach(
                        (role, matrix) -> {
                          if (!role.bias()) {
                            Matrix residual = lowRank(matrix, factoring).residual(compute, matrix);
                            residuals.add(
                                new RowSparse.Importance(
                                    RowSparse.magnitude(residual), residual.cols()));
                          }
                        }));
      }
      return RowSparse.threshold(residuals, factoring.keep());
    }

    private LowRank lowRank(Matrix matrix, Factoring factoring) {
      int rank = LowRank.rank(factoring.rankRatio(), matrix.rows(), matrix.cols());
      return LowRank.ofSvd(compute, matrix, rank);
    }
  }
}
