package dev.smelt.agent.statistics;

import dev.smelt.agent.compute.Matrix;

/**
 * Second moments of one expert, summed over the tokens that were routed to it, each weighted by the
 * square of its gate weight g: so they weigh errors as the layer's output does.
 *
 * @param tokens how many tokens
 * @param inputs {@code sum g² x xᵀ} of the layer's inputs, d x d
 * @param activations {@code sum g² h hᵀ} of what enters the down projection, F x F
 */
public record ExpertMoments(long tokens, Matrix inputs, Matrix activations) {

  static ExpertMoments zero(int hidden, int width) {
    return new ExpertMoments(0, Matrix.zeros(hidden, hidden), Matrix.zeros(width, width));
  }

  ExpertMoments plus(ExpertMoments other) {
    return new ExpertMoments(
        tokens + other.tokens, sum(inputs, other.inputs), sum(activations, other.activations));
  }

  private static Matrix sum(Matrix first, Matrix second) {
    if (first.rows() != second.rows()) {
      throw new StatisticsException(
          "moments of size %d can't be added to moments of size %d"
              .formatted(second.rows(), first.rows()));
    }
    Matrix sum = first.copy();
    for (int i = 0; i < sum.values().length; i++) {
      sum.values()[i] += second.values()[i];
    }
    return sum;
  }
}
