package dev.smelt.agent.statistics;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.inference.ExpertBatch;
import dev.smelt.agent.inference.ForwardObserver;
import dev.smelt.store.checkpoint.MoeBlock;
import java.util.ArrayList;
import java.util.List;

/**
 * Adds up second moments while a model runs. It takes {@code 4 (d² + F²)} bytes per expert, however
 * many tokens pass. For one thread at a time.
 */
public final class MomentsRecording implements ForwardObserver {

  private final Compute compute;
  private final List<MoeBlock> blocks;
  private final List<List<ExpertMoments>> sums = new ArrayList<>();

  /**
   * @param blocks of the model that runs, with all their experts, in layer order
   */
  public MomentsRecording(Compute compute, List<MoeBlock> blocks) {
    this.compute = compute;
    this.blocks = blocks;
    for (MoeBlock block : blocks) {
      List<ExpertMoments> experts = new ArrayList<>();
      for (int expert = 0; expert < block.experts(); expert++) {
        experts.add(ExpertMoments.zero(block.hidden(), block.width()));
      }
      sums.add(experts);
    }
  }

  @Override
  public void calculated(ExpertBatch batch) {
    List<ExpertMoments> experts = sums.get(batch.layer());
    ExpertMoments sum = experts.get(batch.expert());
    sum.inputs()
        .ifPresent(
            inputs -> compute.addGram(1f, weighted(batch, batch.inputs(), inputs.cols()), inputs));
    compute.addGram(
        1f, weighted(batch, batch.activations(), sum.activations().cols()), sum.activations());
    experts.set(
        batch.expert(),
        new ExpertMoments(sum.tokens() + batch.count(), sum.inputs(), sum.activations()));
  }

  private static Matrix weighted(ExpertBatch batch, float[] rows, int cols) {
    Matrix weighted = Matrix.zeros(batch.count(), cols);
    for (int i = 0; i < batch.count(); i++) {
      float gate = batch.gates()[i];
      for (int j = i * cols; j < (i + 1) * cols; j++) {
        weighted.values()[j] = gate * rows[j];
      }
    }
    return weighted;
  }

  /** What was added up so far; further passes change it. */
  public List<BlockMoments> moments() {
    List<BlockMoments> moments = new ArrayList<>();
    for (int layer = 0; layer < blocks.size(); layer++) {
      moments.add(new BlockMoments(blocks.get(layer).name(), sums.get(layer)));
    }
    return moments;
  }
}
