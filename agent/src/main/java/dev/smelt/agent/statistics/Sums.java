package dev.smelt.agent.statistics;

import dev.smelt.agent.compute.Matrix;

/** Adds moments. */
final class Sums {

  private Sums() {}

  /**
   * @throws StatisticsException if the shapes differ
   */
  static Matrix of(Matrix first, Matrix second) {
    if (first.rows() != second.rows() || first.cols() != second.cols()) {
      throw new StatisticsException(
          "moments of shape [%d, %d] can't be added to moments of shape [%d, %d]"
              .formatted(second.rows(), second.cols(), first.rows(), first.cols()));
    }
    Matrix sum = first.copy();
    for (int i = 0; i < sum.values().length; i++) {
      sum.values()[i] += second.values()[i];
    }
    return sum;
  }

  static Matrix scaled(Matrix matrix, double factor) {
    Matrix scaled = matrix.copy();
    for (int i = 0; i < scaled.values().length; i++) {
      scaled.values()[i] *= (float) factor;
    }
    return scaled;
  }
}
