package dev.smelt.agent.compute;

import java.nio.FloatBuffer;
import java.util.function.Consumer;

/**
 * The calculations that cost time: matrix products, decompositions and solves. Everything else
 * works on {@link Matrix} directly.
 *
 * <p>Implementations are safe for concurrent use. Large products are spread over the processors;
 * decompositions and solves use the calling thread, so run independent ones side by side.
 *
 * <p>A shape that does not fit and a NaN where none is allowed are {@link
 * IllegalArgumentException}s; a decomposition that does not converge or a system that can't be
 * solved is an {@link ArithmeticException}.
 */
public interface Compute {

  /** The processors of this machine, through OpenBLAS. */
  static Compute cpu() {
    return OpenBlasCompute.INSTANCE;
  }

  /**
   * General matrix product, {@code c := alpha · op(a) · op(b) + beta · c}, where op(x) is x or its
   * transpose. With beta 0 the old content of c is ignored.
   */
  void gemm(Transpose ofA, Transpose ofB, float alpha, Matrix a, Matrix b, float beta, Matrix c);

  /** {@code a · b}. */
  default Matrix multiply(Matrix a, Matrix b) {
    return multiply(Transpose.NO, a, Transpose.NO, b);
  }

  /** {@code op(a) · op(b)}. */
  default Matrix multiply(Transpose ofA, Matrix a, Transpose ofB, Matrix b) {
    int rows = ofA == Transpose.NO ? a.rows() : a.cols();
    int cols = ofB == Transpose.NO ? b.cols() : b.rows();
    Matrix product = Matrix.zeros(rows, cols);
    gemm(ofA, ofB, 1f, a, b, 0f, product);
    return product;
  }

  /**
   * {@code w · symmetric · wᵀ}: the second moment of what w makes of inputs with the given one.
   *
   * @param w h x d
   * @param symmetric d x d; only the lower triangle is read
   * @return h x h
   */
  Matrix congruence(Matrix w, Matrix symmetric);

  /**
   * Adds a second moment: {@code gram += alpha · xᵀ · x}.
   *
   * @param x one sample per row, n x d
   * @param gram d x d
   */
  default void addGram(float alpha, Matrix x, Matrix gram) {
    gemm(Transpose.YES, Transpose.NO, alpha, x, x, 1f, gram);
  }

  /** Weighted sum, {@code into += weight · from}, element by element. */
  default void accumulate(float weight, Matrix from, Matrix into) {
    if (from.rows() != into.rows() || from.cols() != into.cols()) {
      throw new IllegalArgumentException(
          "can't add a %d x %d matrix to a %d x %d one"
              .formatted(from.rows(), from.cols(), into.rows(), into.cols()));
    }
    float[] source = from.values();
    float[] target = into.values();
    for (int i = 0; i < target.length; i++) {
      target[i] = Math.fma(weight, source[i], target[i]);
    }
  }

  /**
   * All eigenvalues and eigenvectors of a symmetric matrix, by divide and conquer (LAPACK {@code
   * ssyevd}). Only the lower triangle is read.
   */
  SymmetricEigen symmetricEigen(Matrix symmetric);

  /**
   * The eigenvectors of the largest eigenvalues of a symmetric matrix: reduced to three diagonals,
   * decomposed by divide and conquer, and only the wanted vectors transformed back (LAPACK {@code
   * ssytrd}, {@code sstedc}, {@code sormtr}). Only the lower triangle is read.
   *
   * @param count how many, at most n
   * @return n x count, orthonormal columns, largest eigenvalue first
   */
  Matrix leadingEigenvectors(Matrix symmetric, int count);

  /** The eigenvalues alone, descending; several times faster than with their vectors. */
  float[] eigenvalues(Matrix symmetric);

  /**
   * The thin QR decomposition, by Householder reflections (LAPACK {@code sgeqrt}), which are kept
   * as such.
   *
   * @param matrix m x n, m at least n
   */
  Qr qr(Matrix matrix);

  /**
   * Solves {@code X · (gram + ridge · I) = cross} for X: the least squares fit of targets y on
   * inputs h, where {@code gram = sum h hᵀ} and {@code cross = sum y hᵀ}. Works in double precision
   * (LAPACK {@code dposv}), because second moments are badly conditioned.
   *
   * @param cross m x n
   * @param gram n x n, symmetric positive semi-definite; only the lower triangle is read
   * @param ridge added to the diagonal; large enough to make the sum positive definite
   * @return X, m x n
   * @throws ArithmeticException where gram + ridge · I is not positive definite
   */
  Matrix solveRidge(Matrix cross, Matrix gram, double ridge);

  /**
   * Places constant weights where products with them are fastest.
   *
   * @param fill is called once and writes all {@code rows * cols} elements, row-major, to the
   *     buffer it is given
   */
  Weights weights(int rows, int cols, Consumer<FloatBuffer> fill);

  /** Places a copy of a matrix where products with it are fastest. */
  default Weights weights(Matrix matrix) {
    return weights(matrix.rows(), matrix.cols(), buffer -> buffer.put(matrix.values()));
  }

  /**
   * The linear map of a layer, {@code y = x · wᵀ}, for the first {@code samples} rows of x.
   *
   * @param x row-major samples x w.cols(), may be longer
   * @param y row-major samples x w.rows(), may be longer, is overwritten
   */
  void project(Weights w, int samples, float[] x, float[] y);
}
