package dev.smelt.agent.statistics;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.inference.ExpertBatch;
import dev.smelt.agent.inference.ForwardObserver;
import dev.smelt.store.checkpoint.MoeBlock;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Adds up second moments while a model runs. It takes {@code 4 (d² + F²)} bytes per expert, or, of
 * inputs per layer only, {@code 4 F²} per expert and {@code 4 d²} per layer, however many tokens
 * pass. For one thread at a time.
 */
public final class MomentsRecording implements ForwardObserver {

  private final Compute compute;
  private final List<MoeBlock> blocks;
  private final List<List<ExpertMoments>> sums = new ArrayList<>();

  /** Per layer its inputs; empty where each expert has its own. */
  private final List<Matrix> inputs = new ArrayList<>();

  /** Records the inputs of each expert, whatever memory that takes. */
  public MomentsRecording(Compute compute, List<MoeBlock> blocks) {
    this(compute, blocks, Long.MAX_VALUE);
  }

  /**
   * @param blocks of the model that runs, with all their experts, in layer order
   * @param bytes that all sums may take; if those of each expert's inputs take more, inputs are
   *     added up per layer
   */
  public MomentsRecording(Compute compute, List<MoeBlock> blocks, long bytes) {
    this.compute = compute;
    this.blocks = blocks;
    boolean perExpert = blocks.stream().mapToLong(MomentsRecording::bytesPerExpert).sum() <= bytes;
    for (MoeBlock block : blocks) {
      List<ExpertMoments> experts = new ArrayList<>();
      for (int expert = 0; expert < block.experts(); expert++) {
        experts.add(
            perExpert
                ? ExpertMoments.zero(block.hidden(), block.width())
                : ExpertMoments.zero(block.width()));
      }
      sums.add(experts);
      if (!perExpert) {
        inputs.add(Matrix.zeros(block.hidden(), block.hidden()));
      }
    }
  }

  private static long bytesPerExpert(MoeBlock block) {
    long hidden = block.hidden();
    long width = block.width();
    return block.experts() * Float.BYTES * (hidden * hidden + width * width);
  }

  @Override
  public void calculated(ExpertBatch batch) {
    List<ExpertMoments> experts = sums.get(batch.layer());
    ExpertMoments sum = experts.get(batch.expert());
    Matrix ofInputs = sum.inputs().orElseGet(() -> inputs.get(batch.layer()));
    compute.addGram(1f, weighted(batch, batch.inputs(), ofInputs.cols()), ofInputs);
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
      moments.add(
          new BlockMoments(
              blocks.get(layer).name(),
              sums.get(layer),
              inputs.isEmpty() ? Optional.empty() : Optional.of(inputs.get(layer))));
    }
    return moments;
  }
}
