package dev.smelt.agent.compress;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.compute.Qr;
import dev.smelt.agent.compute.SymmetricEigen;
import dev.smelt.agent.compute.Transpose;

/**
 * A matrix as a product of two thin ones, {@code W ~ U V}.
 *
 * @param left U, h x r
 * @param right V, r x w
 */
record LowRank(Matrix left, Matrix right) {

  /** MC-SMoE's rank, {@code ceil(ratio h w / (h + w))}: the factors hold {@code ratio} of W. */
  static int rank(double ratio, int rows, int cols) {
    double size = ratio * rows * cols / (rows + cols);
    return (int) Math.max(1, Math.min(Math.ceil(size), Math.min(rows, cols)));
  }

  /**
   * The best approximation in the Frobenius norm, as a truncated singular value decomposition gives
   * it, from the leading eigenvectors of the smaller of {@code W Wᵀ} and {@code Wᵀ W}. Directions
   * with less than a millionth of the largest one's energy are lost in rounding.
   */
  static LowRank plain(Compute compute, Matrix weight, int rank) {
    if (weight.rows() > weight.cols()) {
      LowRank turned = plain(compute, weight.transpose(), rank);
      return new LowRank(turned.right.transpose(), turned.left.transpose());
    }
    Matrix gram = compute.multiply(Transpose.NO, weight, Transpose.YES, weight);
    return within(compute, compute.leadingEigenvectors(gram, rank), weight);
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
    return within(
        compute, compute.leadingEigenvectors(compute.congruence(weight, moment), rank), weight);
  }

  /** The part of a matrix that is in the span of orthonormal columns. */
  private static LowRank within(Compute compute, Matrix columns, Matrix weight) {
    return new LowRank(columns, compute.multiply(Transpose.YES, columns, Transpose.NO, weight));
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
