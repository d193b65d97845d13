package dev.smelt.agent.statistics;

import dev.smelt.agent.compute.Matrix;

/**
 * What a merged expert's down projection is fitted to, summed over the tokens that were routed to
 * any member of the group, each weighted by the square of its gate weight g.
 *
 * @param tokens how many
 * @param activations {@code sum g² h hᵀ} of the merged expert's hidden activations, F x F
 * @param outputs {@code sum g² y hᵀ} with the original expert's outputs y, d x F
 */
public record GroupMoments(long tokens, Matrix activations, Matrix outputs) {

  static GroupMoments zero(int hidden, int width) {
    return new GroupMoments(0, Matrix.zeros(width, width), Matrix.zeros(hidden, width));
  }

  GroupMoments plus(GroupMoments other) {
    return new GroupMoments(
        tokens + other.tokens,
        Sums.of(activations, other.activations),
        Sums.of(outputs, other.outputs));
  }
}
