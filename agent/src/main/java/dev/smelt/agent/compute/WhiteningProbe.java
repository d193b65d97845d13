package dev.smelt.agent.compute;

import static org.bytedeco.openblas.global.openblas.CblasLower;
import static org.bytedeco.openblas.global.openblas.CblasNoTrans;
import static org.bytedeco.openblas.global.openblas.CblasNonUnit;
import static org.bytedeco.openblas.global.openblas.CblasRight;
import static org.bytedeco.openblas.global.openblas.CblasRowMajor;
import static org.bytedeco.openblas.global.openblas.LAPACKE_sgesdd;
import static org.bytedeco.openblas.global.openblas.LAPACKE_spotrf;
import static org.bytedeco.openblas.global.openblas.LAPACK_COL_MAJOR;
import static org.bytedeco.openblas.global.openblas.blas_set_num_threads;
import static org.bytedeco.openblas.global.openblas.cblas_strsm;

import java.util.Arrays;

/**
 * Lets benchmarks whiten with an inverse and decompose whole, as others do, to compare with them.
 */
public final class WhiteningProbe {

  private WhiteningProbe() {}

  /** Runs work with OpenBLAS's own threads on all processors; nothing else may run meanwhile. */
  public static void withAllProcessors(Runnable work) {
    blas_set_num_threads(Runtime.getRuntime().availableProcessors());
    try {
      work.run();
    } finally {
      blas_set_num_threads(1);
    }
  }

  /** The thin singular value decomposition, by divide and conquer (LAPACK {@code sgesdd}). */
  public static Svd svd(Matrix matrix) {
    int m = matrix.rows();
    int n = matrix.cols();
    int k = Math.min(m, n);
    Matrix left = Matrix.zeros(m, k);
    float[] singular = new float[k];
    Matrix right = Matrix.zeros(k, n);
    if (k > 0) {
      // By columns the array is the transpose, whose factors come out exchanged and transposed.
      OpenBlasCompute.check(
          "the singular value decomposition",
          LAPACKE_sgesdd(
              LAPACK_COL_MAJOR,
              (byte) 'S',
              n,
              m,
              matrix.values().clone(),
              n,
              singular,
              right.values(),
              n,
              left.values(),
              k));
    }
    return new Svd(left, singular, right);
  }

  /**
   * The lower triangular L with {@code L Lᵀ = moment} (LAPACK {@code spotrf}).
   *
   * @throws ArithmeticException where the moment is not positive definite
   */
  public static Matrix root(Matrix moment) {
    Matrix root = moment.copy();
    int d = root.rows();
    int info = LAPACKE_spotrf(LAPACK_COL_MAJOR, (byte) 'U', d, root.values(), d);
    if (info != 0) {
      throw new ArithmeticException("the second moment is not positive definite at row " + info);
    }
    for (int row = 0; row < d; row++) {
      Arrays.fill(root.values(), row * d + row + 1, (row + 1) * d, 0f);
    }
    return root;
  }

  /** {@code matrix := matrix · root⁻¹}. */
  public static void undo(Matrix root, Matrix matrix) {
    cblas_strsm(
        CblasRowMajor,
        CblasRight,
        CblasLower,
        CblasNoTrans,
        CblasNonUnit,
        matrix.rows(),
        matrix.cols(),
        1f,
        root.values(),
        root.cols(),
        matrix.values(),
        matrix.cols());
  }
}
