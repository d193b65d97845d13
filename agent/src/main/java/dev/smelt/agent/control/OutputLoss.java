package dev.smelt.agent.control;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.compute.Transpose;
import dev.smelt.agent.statistics.BlockMoments;
import dev.smelt.agent.statistics.ExpertMoments;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.CompactExperts;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import dev.smelt.store.checkpoint.TensorSource;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Function;

/**
 * How much of their outputs experts lose on live traffic, told from second moments alone.
 *
 * <p>An expert that keeps some of its own hidden neurons, with another down projection V on them,
 * has the expected squared error {@code tr((W - V) H (W - V)ᵀ)} with {@code H = sum g² h hᵀ}; W is
 * its own down projection, and V is zero where a neuron is gone. The figure is the sum of that over
 * all experts of a block, as a share of {@code tr(W H Wᵀ)}, and the mean of it over the blocks. For
 * a merged expert, whose neurons are nobody's own, moments of the originals say nothing.
 */
final class OutputLoss {

  private final Compute compute;
  private final Checkpoint checkpoint;

  OutputLoss(Compute compute, Checkpoint checkpoint) {
    this.compute = compute;
    this.checkpoint = checkpoint;
  }

  /**
   * The loss of some experts, 0 for those of the full model.
   *
   * @param experts under the names of the compact form
   * @param moments of the full model's experts on live traffic
   * @return empty if an expert that has traffic is merged, masked or factored
   */
  OptionalDouble of(TensorSource experts, Function<MoeBlock, BlockMoments> moments) {
    CompactExperts compact = new CompactExperts(experts);
    double sum = 0;
    for (MoeBlock block : checkpoint.blocks()) {
      OptionalDouble ofBlock = of(block, compact, moments.apply(block));
      if (ofBlock.isEmpty()) {
        return ofBlock;
      }
      sum += ofBlock.getAsDouble();
    }
    return OptionalDouble.of(sum / checkpoint.blocks().size());
  }

  private OptionalDouble of(MoeBlock block, CompactExperts compact, BlockMoments moments) {
    int[] map = compact.map(block);
    double lost = 0;
    double all = 0;
    for (int expert = 0; expert < map.length; expert++) {
      ExpertMoments seen = moments.experts().get(expert);
      if (seen.tokens() == 0) {
        continue;
      }
      Optional<Matrix> kept =
          map[expert] < 0 ? Optional.empty() : ownDown(block, compact, map[expert], expert);
      if (kept.isEmpty()) {
        return OptionalDouble.empty();
      }
      Matrix down = matrix(block, Role.DOWN, checkpoint.expert(block, expert, Role.DOWN));
      all += energy(down, seen.activations());
      for (int i = 0; i < down.values().length; i++) {
        down.values()[i] -= kept.get().values()[i];
      }
      lost += energy(down, seen.activations());
    }
    return OptionalDouble.of(all == 0 ? 0 : lost / all);
  }

  /** A group's down projection in terms of the neurons of an expert, if it has no others. */
  private Optional<Matrix> ownDown(MoeBlock block, CompactExperts compact, int group, int expert) {
    if (Arrays.stream(Role.values())
        .anyMatch(role -> block.roles().contains(role) && compact.factored(block, group, role))) {
      return Optional.empty();
    }
    Role in = block.roles().contains(Role.GATE) ? Role.GATE : Role.UP;
    Map<FloatBuffer, Integer> neurons = new HashMap<>();
    float[] own = checkpoint.expert(block, expert, in);
    for (int neuron = 0; neuron < block.width(); neuron++) {
      neurons.put(row(block, own, neuron), neuron);
    }
    float[] rows = compact.weight(block, group, in);
    Matrix narrow = matrix(block, Role.DOWN, compact.weight(block, group, Role.DOWN));
    Matrix down = Matrix.zeros(narrow.rows(), narrow.cols());
    for (int i = 0; i < block.width(); i++) {
      Integer neuron = neurons.get(row(block, rows, i));
      boolean gone = zero(block, rows, i);
      if (neuron == null && !gone) {
        return Optional.empty();
      }
      for (int output = 0; !gone && output < down.rows(); output++) {
        down.set(output, neuron, narrow.at(output, i));
      }
    }
    return Optional.of(down);
  }

  private static FloatBuffer row(MoeBlock block, float[] rows, int row) {
    return FloatBuffer.wrap(rows, row * block.hidden(), block.hidden());
  }

  private static boolean zero(MoeBlock block, float[] rows, int row) {
    for (int i = row * block.hidden(); i < (row + 1) * block.hidden(); i++) {
      if (rows[i] != 0) {
        return false;
      }
    }
    return true;
  }

  private static Matrix matrix(MoeBlock block, Role role, float[] values) {
    return role == Role.DOWN
        ? new Matrix(block.hidden(), block.width(), values)
        : new Matrix(block.width(), block.hidden(), values);
  }

  /** {@code tr(W H Wᵀ)}. */
  private double energy(Matrix down, Matrix activations) {
    Matrix product = compute.multiply(Transpose.NO, down, Transpose.NO, activations);
    double energy = 0;
    for (int i = 0; i < down.values().length; i++) {
      energy += (double) down.values()[i] * product.values()[i];
    }
    return Math.max(0, energy);
  }
}
