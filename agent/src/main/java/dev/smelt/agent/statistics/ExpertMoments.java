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

  /** The moments of both parts together. */
  public ExpertMoments plus(ExpertMoments other) {
    return new ExpertMoments(
        tokens + other.tokens,
        Sums.of(inputs, other.inputs),
        Sums.of(activations, other.activations));
  }
}
