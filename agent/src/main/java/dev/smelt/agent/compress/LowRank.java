package dev.smelt.agent.compress;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.compute.Svd;
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

  /** The best approximation in the Frobenius norm; both factors carry the root of each value. */
  static LowRank ofSvd(Compute compute, Matrix weight, int rank) {
    Svd svd = compute.svd(weight);
    float[] roots = new float[rank];
    int[] leading = new int[rank];
    for (int i = 0; i < rank; i++) {
      roots[i] = (float) Math.sqrt(svd.singular()[i]);
      leading[i] = i;
    }
    Matrix left = svd.left().gatherColumns(leading);
    for (int i = 0; i < left.rows(); i++) {
      for (int j = 0; j < rank; j++) {
        left.values()[i * rank + j] *= roots[j];
      }
    }
    Matrix right = svd.right().rows(0, rank);
    right.scaleRows(roots);
    return new LowRank(left, right);
  }

  /**
   * The best approximation for inputs with the given second moment: {@code U = Q_r}, {@code V =
   * Q_rᵀ W}, with the leading eigenvectors Q of {@code W C Wᵀ}. The expected loss is the sum of the
   * eigenvalues left out; nothing is inverted (algorithm after SVD-LLM, arXiv 2403.07378).
   *
   * @param moment C, w x w
   */
  static LowRank whitened(Compute compute, Matrix weight, Matrix moment, int rank) {
    return ofEigen(compute, weight, outputEigen(compute, weight, moment), rank);
  }

  /** The eigendecomposition of {@code W C Wᵀ}, the second moment of the outputs, h x h. */
  static SymmetricEigen outputEigen(Compute compute, Matrix weight, Matrix moment) {
    Matrix half = compute.multiply(weight, moment);
    return compute.symmetricEigen(compute.multiply(Transpose.NO, half, Transpose.YES, weight));
  }

  static LowRank ofEigen(Compute compute, Matrix weight, SymmetricEigen eigen, int rank) {
    Matrix leading = eigen.vectors().rows(0, rank);
    return new LowRank(leading.transpose(), compute.multiply(leading, weight));
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
