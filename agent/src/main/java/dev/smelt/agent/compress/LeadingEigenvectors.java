package dev.smelt.agent.compress;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.compute.SymmetricEigen;
import dev.smelt.agent.compute.Transpose;
import java.util.Random;

/**
 * The leading eigenvectors of a symmetric positive semi-definite matrix, found by subspace
 * iteration, so that nearly all the work is matrix products. A Chebyshev polynomial damps what lies
 * below the subspace (Zhou and Saad, SIAM J. Matrix Anal. Appl. 29, 2007), as the spectra of
 * experts' outputs fall slowly.
 *
 * <p>It ends when a round gains less than a ten-thousandth of the energy that is left out; where it
 * does not get there, or much of the spectrum is wanted, all eigenvectors are calculated.
 */
final class LeadingEigenvectors {

  private static final double LARGEST_SHARE = 0.5;
  private static final int MOST_ROUNDS = 10;

  /** A round's gain, as a share of the energy left out. */
  private static final double TOLERANCE = 1e-4;

  /** What single precision can't tell from nothing, as a share of all energy. */
  private static final double PRECISION = 2e-7;

  /** More amplification than this would drown small directions in the rounding of large ones. */
  private static final double MOST_AMPLIFICATION = 1e5;

  private static final int HIGHEST_DEGREE = 10;

  private LeadingEigenvectors() {}

  /**
   * @param matrix n x n
   * @param count how many, at most n
   * @return count x n, orthonormal rows, largest eigenvalue first
   */
  static Matrix of(Compute compute, Matrix matrix, int count) {
    int n = matrix.rows();
    int size = count + Math.max(8, count / 8);
    if (size <= LARGEST_SHARE * n) {
      double trace = trace(matrix);
      double captured = 0;
      Matrix basis = compute.orthonormalRows(compute.multiply(random(size, n), matrix));
      for (int round = 0; round < MOST_ROUNDS; round++) {
        Matrix image = compute.multiply(basis, matrix);
        SymmetricEigen ritz =
            compute.symmetricEigen(compute.multiply(Transpose.NO, image, Transpose.YES, basis));
        basis = compute.multiply(ritz.vectors(), basis);
        double now = sum(ritz.values(), count);
        if (now - captured <= Math.max(TOLERANCE * (trace - now), PRECISION * trace)) {
          return basis.rows(0, count);
        }
        captured = now;
        image = compute.multiply(ritz.vectors(), image);
        basis = compute.orthonormalRows(amplified(compute, matrix, basis, image, ritz.values()));
      }
    }
    return compute.symmetricEigen(matrix).vectors().rows(0, count);
  }

  /**
   * The Chebyshev polynomial of the matrix, applied to each row of the basis: of magnitude one at
   * most for eigenvalues up to the subspace's least, growing fast above.
   *
   * @param image the basis times the matrix
   * @param values the subspace's eigenvalues, descending
   */
  private static Matrix amplified(
      Compute compute, Matrix matrix, Matrix basis, Matrix image, float[] values) {
    double cutoff = values[values.length - 1];
    if (cutoff <= PRECISION * values[0]) {
      return image;
    }
    Matrix before = basis;
    Matrix filtered = combined(2 / cutoff, image, -1, basis);
    for (int degree = degree(2 * values[0] / cutoff - 1); degree > 1; degree--) {
      Matrix next = combined(-2, filtered, -1, before);
      compute.gemm(Transpose.NO, Transpose.NO, (float) (4 / cutoff), filtered, matrix, 1f, next);
      before = filtered;
      filtered = next;
    }
    return filtered;
  }

  /** The highest degree whose Chebyshev polynomial is not too large at a point above one. */
  private static int degree(double point) {
    double before = 1;
    double value = point;
    int degree = 1;
    while (degree < HIGHEST_DEGREE) {
      double next = 2 * point * value - before;
      if (next > MOST_AMPLIFICATION) {
        break;
      }
      before = value;
      value = next;
      degree++;
    }
    return degree;
  }

  private static Matrix combined(double alpha, Matrix a, double beta, Matrix b) {
    float[] sum = new float[a.values().length];
    for (int i = 0; i < sum.length; i++) {
      sum[i] = (float) alpha * a.values()[i] + (float) beta * b.values()[i];
    }
    return new Matrix(a.rows(), a.cols(), sum);
  }

  private static double trace(Matrix matrix) {
    double trace = 0;
    for (int i = 0; i < matrix.rows(); i++) {
      trace += matrix.at(i, i);
    }
    return trace;
  }

  private static double sum(float[] values, int count) {
    double sum = 0;
    for (int i = 0; i < count; i++) {
      sum += values[i];
    }
    return sum;
  }

  /** Always the same, so that the same input gives the same factors. */
  private static Matrix random(int rows, int cols) {
    Random random = new Random(1);
    Matrix matrix = Matrix.zeros(rows, cols);
    for (int i = 0; i < matrix.values().length; i++) {
      matrix.values()[i] = random.nextFloat() - 0.5f;
    }
    return matrix;
  }
}
