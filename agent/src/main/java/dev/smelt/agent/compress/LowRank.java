package dev.smelt.agent.compress;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.compute.Qr;
import dev.smelt.agent.compute.SymmetricEigen;
import dev.smelt.agent.compute.Transpose;
import java.util.Optional;

/**
 * A matrix as a product of two thin ones, {@code W ~ U V}.
 *
 * @param left U, h x r
 * @param right V, r x w
 */
record LowRank(Matrix left, Matrix right) {

  private static final int MOST_STEPS = 12;

  /**
   * A step of subspace iteration that lowers the loss by less than this share of it is the last.
   */
  private static final double CONVERGED = 1e-4;

  /** A direction with less of the largest one's energy than this is not told from rounding. */
  private static final double LEAST_ENERGY = 1e-6;

  /** MC-SMoE's rank, {@code ceil(ratio h w / (h + w))}: the factors hold {@code ratio} of W. */
  static int rank(double ratio, int rows, int cols) {
    double size = ratio * rows * cols / (rows + cols);
    return (int) Math.max(1, Math.min(Math.ceil(size), Math.min(rows, cols)));
  }

  /**
   * The best approximation in the Frobenius norm, as a truncated singular value decomposition gives
   * it, from the leading eigenvectors of the smaller of {@code W Wᵀ} and {@code Wᵀ W}: directions
   * with less than a millionth of the largest one's energy are lost in rounding.
   */
  static LowRank plain(Compute compute, Matrix weight, int rank) {
    if (weight.rows() > weight.cols()) {
      Matrix right =
          compute.leadingEigenvectors(
              compute.multiply(Transpose.YES, weight, Transpose.NO, weight), rank);
      return new LowRank(compute.multiply(weight, right), right.transpose());
    }
    Matrix left =
        compute.leadingEigenvectors(
            compute.multiply(Transpose.NO, weight, Transpose.YES, weight), rank);
    return new LowRank(left, compute.multiply(Transpose.YES, left, Transpose.NO, weight));
  }

  /**
   * As {@link #plain}, by subspace iteration from the right factor of a matrix that was similar;
   * where that does not converge in a few steps, by the decomposition.
   *
   * @param start r x w
   */
  static LowRank near(Compute compute, Matrix weight, Matrix start, int rank) {
    if (start.rows() != rank || start.cols() != weight.cols()) {
      return plain(compute, weight, rank);
    }
    double all = energy(weight);
    double before = 0;
    Matrix right = start;
    for (int step = 0; step < MOST_STEPS; step++) {
      Optional<Matrix> left =
          orthonormal(compute, compute.multiply(Transpose.NO, weight, Transpose.YES, right));
      if (left.isEmpty()) {
        break;
      }
      right = compute.multiply(Transpose.YES, left.get(), Transpose.NO, weight);
      double captured = energy(right);
      if (captured - before <= CONVERGED * (all - captured)) {
        return new LowRank(left.get(), right);
      }
      before = captured;
    }
    return plain(compute, weight, rank);
  }

  /** An orthonormal basis of the columns' space; empty where they are hardly independent. */
  private static Optional<Matrix> orthonormal(Compute compute, Matrix columns) {
    Matrix gram = Matrix.zeros(columns.cols(), columns.cols());
    compute.addGram(1f, columns, gram);
    SymmetricEigen eigen = compute.symmetricEigen(gram);
    float[] values = eigen.values();
    float[] scales = new float[values.length];
    for (int i = 0; i < scales.length; i++) {
      if (!(values[i] > LEAST_ENERGY * values[0])) {
        return Optional.empty();
      }
      scales[i] = (float) (1 / Math.sqrt(values[i]));
    }
    Matrix directions = eigen.vectors().copy();
    directions.scaleRows(scales);
    return Optional.of(compute.multiply(Transpose.NO, columns, Transpose.YES, directions));
  }

  private static double energy(Matrix matrix) {
    double energy = 0;
    for (float value : matrix.values()) {
      energy += (double) value * value;
    }
    return energy;
  }

  /**
   * The best approximation for inputs with the given second moment: {@code U = Q_r}, {@code V =
   * Q_rᵀ W}, with the leading eigenvectors Q of {@code W C Wᵀ}. The expected loss is the sum of the
   * eigenvalues left out; nothing is inverted (algorithm after SVD-LLM, arXiv 2403.07378).
   *
   * <p>Outputs of a tall matrix {@code W = Q R} are within the span of Q's columns, so there the
   * factors of R are found, and Q taken to the left one.
   *
   * @param moment C, w x w
   * @param rank at most the smaller of h and w
   */
  static LowRank whitened(Compute compute, Matrix weight, Matrix moment, int rank) {
    if (weight.rows() > weight.cols()) {
      Qr qr = compute.qr(weight);
      LowRank inner = whitened(compute, qr.triangular(), moment, rank);
      return new LowRank(qr.times(inner.left), inner.right);
    }
    Matrix leading = compute.leadingEigenvectors(compute.congruence(weight, moment), rank);
    return new LowRank(leading, compute.multiply(Transpose.YES, leading, Transpose.NO, weight));
  }

  /**
   * The eigenvalues and eigenvectors of {@code W C Wᵀ}, the second moment of the outputs; for a
   * tall matrix only the w that can be other than zero.
   */
  static SymmetricEigen outputEigen(Compute compute, Matrix weight, Matrix moment) {
    if (weight.rows() > weight.cols()) {
      Qr qr = compute.qr(weight);
      SymmetricEigen inner = outputEigen(compute, qr.triangular(), moment);
      return new SymmetricEigen(inner.values(), qr.times(inner.vectors().transpose()).transpose());
    }
    return compute.symmetricEigen(compute.congruence(weight, moment));
  }

  int rank() {
    return left.cols();
  }

  /** {@code W - U V}. */
  Matrix residual(Compute compute, Matrix weight) {
    Matrix residual = weight.copy();
    compute.gemm(Transpose.NO, Transpose.NO, -1f, left, right, 1f, residual);
    return residual;
  }

  Matrix product(Compute compute) {
    return compute.multiply(left, right);
  }
}
