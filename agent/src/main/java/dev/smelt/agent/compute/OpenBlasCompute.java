package dev.smelt.agent.compute;

import static org.bytedeco.openblas.global.openblas.CblasLower;
import static org.bytedeco.openblas.global.openblas.CblasNoTrans;
import static org.bytedeco.openblas.global.openblas.CblasNonUnit;
import static org.bytedeco.openblas.global.openblas.CblasRight;
import static org.bytedeco.openblas.global.openblas.CblasRowMajor;
import static org.bytedeco.openblas.global.openblas.CblasTrans;
import static org.bytedeco.openblas.global.openblas.LAPACKE_dposv;
import static org.bytedeco.openblas.global.openblas.LAPACKE_sgemqrt;
import static org.bytedeco.openblas.global.openblas.LAPACKE_sgeqrt;
import static org.bytedeco.openblas.global.openblas.LAPACKE_sormtr_work;
import static org.bytedeco.openblas.global.openblas.LAPACKE_sstedc;
import static org.bytedeco.openblas.global.openblas.LAPACKE_ssyevd;
import static org.bytedeco.openblas.global.openblas.LAPACKE_ssytrd;
import static org.bytedeco.openblas.global.openblas.LAPACK_COL_MAJOR;
import static org.bytedeco.openblas.global.openblas.blas_set_num_threads;
import static org.bytedeco.openblas.global.openblas.cblas_sgemm;
import static org.bytedeco.openblas.global.openblas.cblas_sgemv;
import static org.bytedeco.openblas.global.openblas.cblas_strmm;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.FloatPointer;

/**
 * {@link Compute} on OpenBLAS, the library that ND4J brings, called through its JavaCPP preset.
 *
 * <p>OpenBLAS itself is kept to one thread: its own threads wait by spinning, which on a machine
 * that serves as well makes small products ten times slower. Large products are split here instead.
 */
final class OpenBlasCompute implements Compute {

  private static final String PHYSICAL_LIMIT = "org.bytedeco.javacpp.maxPhysicalBytes";

  static {
    // JavaCPP would look up the process's size at each allocation, and count mapped checkpoints.
    if (System.getProperty(PHYSICAL_LIMIT) == null) {
      System.setProperty(PHYSICAL_LIMIT, "0");
    }
  }

  static final Compute INSTANCE = new OpenBlasCompute();

  /** Multiply-adds below which a product is not worth splitting. */
  private static final long SPLIT_FROM = 1L << 24;

  /** Reflections that are applied at once, at most. */
  private static final int BLOCK = 64;

  /**
   * What {@code sormtr} keeps of a block, but forgets when it is asked for the size of its scratch
   * space; without it, it goes reflection by reflection, which takes up to ten times as long.
   */
  private static final int BLOCK_REFLECTOR = (BLOCK + 1) * BLOCK;

  /** A copied float takes as long as so many multiply-adds. */
  private static final long COPIES_LIKE = 16;

  private final ThreadLocal<Scratch> inputs = ThreadLocal.withInitial(Scratch::new);
  private final ThreadLocal<Scratch> outputs = ThreadLocal.withInitial(Scratch::new);

  private OpenBlasCompute() {
    blas_set_num_threads(1);
  }

  @Override
  public void gemm(
      Transpose ofA, Transpose ofB, float alpha, Matrix a, Matrix b, float beta, Matrix c) {
    int m = ofA == Transpose.NO ? a.rows() : a.cols();
    int inner = ofA == Transpose.NO ? a.cols() : a.rows();
    int innerOfB = ofB == Transpose.NO ? b.rows() : b.cols();
    int n = ofB == Transpose.NO ? b.cols() : b.rows();
    if (inner != innerOfB || c.rows() != m || c.cols() != n) {
      throw new IllegalArgumentException(
          "the product of %d x %d and %d x %d does not fit %d x %d"
              .formatted(m, inner, innerOfB, n, c.rows(), c.cols()));
    }
    if (m == 0 || n == 0) {
      return;
    }
    // Copied once here: the preset would copy whole arrays in and out at each call.
    try (FloatPointer left = copy(a.values());
        FloatPointer right = copy(b.values());
        FloatPointer result = beta == 0f ? new FloatPointer(c.values().length) : copy(c.values())) {
      inBands(
          m,
          (long) m * n * inner,
          (from, to) -> {
            FloatPointer band = result.getPointer((long) from * n);
            cblas_sgemm(
                CblasRowMajor,
                cblas(ofA),
                cblas(ofB),
                to - from,
                n,
                inner,
                alpha,
                left.getPointer(ofA == Transpose.NO ? (long) from * a.cols() : from),
                Math.max(1, a.cols()),
                right,
                Math.max(1, b.cols()),
                beta,
                band,
                n);
            band.get(c.values(), from * n, (to - from) * n);
          });
    }
  }

  /**
   * The symmetric matrix is the sum of its lower triangle, with half of the diagonal, and that
   * one's transpose. So the product with a triangle, half the work, gives half of the result, and
   * its transpose the other half.
   */
  @Override
  public Matrix congruence(Matrix w, Matrix symmetric) {
    int d = requireSquare(symmetric);
    if (w.cols() != d) {
      throw new IllegalArgumentException(
          "a map of %d inputs does not fit a second moment of %d".formatted(w.cols(), d));
    }
    int h = w.rows();
    Matrix half = Matrix.zeros(h, h);
    if (h == 0 || d == 0) {
      return half;
    }
    try (FloatPointer map = copy(w.values());
        FloatPointer mapped = copy(w.values());
        FloatPointer triangle = copy(symmetric.values());
        FloatPointer result = new FloatPointer((long) h * h)) {
      for (int i = 0; i < d; i++) {
        triangle.put((long) i * d + i, symmetric.at(i, i) / 2);
      }
      inBands(
          h,
          (long) h * d * d / 2,
          (from, to) -> {
            FloatPointer of = mapped.getPointer((long) from * d);
            cblas_strmm(
                CblasRowMajor,
                CblasRight,
                CblasLower,
                CblasNoTrans,
                CblasNonUnit,
                to - from,
                d,
                1f,
                triangle,
                d,
                of,
                d);
            FloatPointer band = result.getPointer((long) from * h);
            cblas_sgemm(
                CblasRowMajor,
                CblasNoTrans,
                CblasTrans,
                to - from,
                h,
                d,
                1f,
                of,
                d,
                map,
                d,
                0f,
                band,
                h);
            band.get(half.values(), from * h, (to - from) * h);
          });
    }
    Matrix product = half.transpose();
    accumulate(1, half, product);
    return product;
  }

  /** Work on the rows {@code from} (inclusive) to {@code to} (exclusive). */
  private interface Band {
    void run(int from, int to);
  }

  /** Splits rows over the processors, if their multiply-adds are worth it. */
  private static void inBands(int rows, long multiplyAdds, Band band) {
    int bands =
        multiplyAdds < SPLIT_FROM ? 1 : Math.min(rows, Runtime.getRuntime().availableProcessors());
    IntStream.range(0, bands)
        .parallel()
        .forEach(
            i -> band.run((int) ((long) rows * i / bands), (int) ((long) rows * (i + 1) / bands)));
  }

  /** A copy in native memory, made by all processors. */
  private static FloatPointer copy(float[] values) {
    FloatPointer copy = new FloatPointer(Math.max(1L, values.length));
    inBands(
        values.length,
        values.length * COPIES_LIKE,
        (from, to) -> copy.getPointer(from).put(values, from, to - from));
    return copy;
  }

  private static int cblas(Transpose transpose) {
    return transpose == Transpose.NO ? CblasNoTrans : CblasTrans;
  }

  @Override
  public SymmetricEigen symmetricEigen(Matrix symmetric) {
    int n = requireSquare(symmetric);
    if (n == 0) {
      return new SymmetricEigen(new float[0], symmetric);
    }
    float[] vectors = symmetric.values().clone();
    float[] values = new float[n];
    // The lower triangle by rows is the upper triangle by columns.
    check(
        "the eigendecomposition",
        LAPACKE_ssyevd(LAPACK_COL_MAJOR, (byte) 'V', (byte) 'U', n, vectors, n, values));
    reverse(values);
    float[] descending = new float[vectors.length];
    for (int i = 0; i < n; i++) {
      System.arraycopy(vectors, (n - 1 - i) * n, descending, i * n, n);
    }
    return new SymmetricEigen(values, new Matrix(n, n, descending));
  }

  @Override
  public Matrix leadingEigenvectors(Matrix symmetric, int count) {
    int n = requireSquare(symmetric);
    if (count < 0 || count > n) {
      throw new IllegalArgumentException(
          "a %d x %d matrix does not have %d eigenvectors".formatted(n, n, count));
    }
    if (count == 0) {
      return Matrix.zeros(n, 0);
    }
    try (FloatPointer reflectors = copy(symmetric.values());
        FloatPointer diagonal = new FloatPointer(n);
        FloatPointer beside = new FloatPointer(n);
        FloatPointer factors = new FloatPointer(n);
        FloatPointer vectors = new FloatPointer((long) n * n);
        FloatPointer wanted = new FloatPointer((long) n * count);
        FloatPointer scratch = new FloatPointer((long) count * BLOCK + BLOCK_REFLECTOR)) {
      check(
          "the reduction to three diagonals",
          LAPACKE_ssytrd(
              LAPACK_COL_MAJOR, (byte) 'U', n, reflectors, n, diagonal, beside, factors));
      check(
          "the eigendecomposition",
          LAPACKE_sstedc(LAPACK_COL_MAJOR, (byte) 'I', n, diagonal, beside, vectors, n));
      Matrix rows = Matrix.zeros(count, n);
      for (int i = 0; i < count; i++) {
        vectors.getPointer((long) (n - 1 - i) * n).get(rows.values(), i * n, n);
      }
      Matrix leading = rows.transpose();
      wanted.put(leading.values());
      // By columns this is the transpose, which is multiplied from the right.
      check(
          "the eigendecomposition",
          LAPACKE_sormtr_work(
              LAPACK_COL_MAJOR,
              (byte) 'R',
              (byte) 'U',
              (byte) 'T',
              count,
              n,
              reflectors,
              n,
              factors,
              wanted,
              count,
              scratch,
              (int) scratch.capacity()));
      wanted.get(leading.values());
      return leading;
    }
  }

  @Override
  public float[] eigenvalues(Matrix symmetric) {
    int n = requireSquare(symmetric);
    float[] values = new float[n];
    if (n > 0) {
      check(
          "the eigendecomposition",
          LAPACKE_ssyevd(
              LAPACK_COL_MAJOR, (byte) 'N', (byte) 'U', n, symmetric.values().clone(), n, values));
    }
    reverse(values);
    return values;
  }

  private static void reverse(float[] values) {
    for (int i = 0, j = values.length - 1; i < j; i++, j--) {
      float swapped = values[i];
      values[i] = values[j];
      values[j] = swapped;
    }
  }

  @Override
  public Qr qr(Matrix matrix) {
    int m = matrix.rows();
    int n = matrix.cols();
    if (m < n) {
      throw new IllegalArgumentException("a %d x %d matrix is not tall".formatted(m, n));
    }
    float[] columns = matrix.transpose().values();
    int block = Math.min(BLOCK, n);
    float[] blocks = new float[block * n];
    Matrix triangular = Matrix.zeros(n, n);
    if (n > 0) {
      try (FloatPointer decomposed = copy(columns);
          FloatPointer factors = copy(blocks)) {
        check(
            "the QR decomposition",
            LAPACKE_sgeqrt(LAPACK_COL_MAJOR, m, n, block, decomposed, m, factors, block));
        decomposed.get(columns);
        factors.get(blocks);
      }
      for (int i = 0; i < n; i++) {
        for (int j = i; j < n; j++) {
          triangular.set(i, j, columns[j * m + i]);
        }
      }
    }
    return new Reflections(triangular, m, columns, block, blocks);
  }

  /**
   * @param columns of the decomposed matrix: reflections below the diagonal
   * @param blocks triangular factors of so many reflections each
   */
  private record Reflections(
      Matrix triangular, int rows, float[] columns, int block, float[] blocks) implements Qr {

    /** By columns everything is a transpose, so the reflections are applied from the right. */
    @Override
    public Matrix times(Matrix x) {
      int n = triangular.rows();
      if (x.rows() != n) {
        throw new IllegalArgumentException(
            "%d orthonormal columns don't fit a %d x %d matrix".formatted(n, x.rows(), x.cols()));
      }
      Matrix product = new Matrix(rows, x.cols(), Arrays.copyOf(x.values(), rows * x.cols()));
      if (product.values().length > 0 && n > 0) {
        try (FloatPointer reflections = copy(columns);
            FloatPointer factors = copy(blocks);
            FloatPointer result = copy(product.values())) {
          check(
              "the product with reflections",
              LAPACKE_sgemqrt(
                  LAPACK_COL_MAJOR,
                  (byte) 'R',
                  (byte) 'T',
                  x.cols(),
                  rows,
                  n,
                  block,
                  reflections,
                  rows,
                  factors,
                  block,
                  result,
                  x.cols()));
          result.get(product.values());
        }
      }
      return product;
    }
  }

  @Override
  public Matrix solveRidge(Matrix cross, Matrix gram, double ridge) {
    int n = requireSquare(gram);
    if (cross.cols() != n) {
      throw new IllegalArgumentException(
          "%d columns of targets don't fit a gram matrix of %d".formatted(cross.cols(), n));
    }
    if (n == 0 || cross.rows() == 0) {
      return cross.copy();
    }
    double[] system = widen(gram.values());
    for (int i = 0; i < n; i++) {
      system[i * n + i] += ridge;
    }
    double[] solution = widen(cross.values());
    int info = LAPACKE_dposv(LAPACK_COL_MAJOR, (byte) 'U', n, cross.rows(), system, n, solution, n);
    if (info > 0) {
      throw new ArithmeticException(
          "the ridge system is not positive definite at row " + info + ": raise the ridge");
    }
    check("the ridge system", info);
    float[] narrowed = new float[solution.length];
    for (int i = 0; i < narrowed.length; i++) {
      narrowed[i] = (float) solution[i];
    }
    return new Matrix(cross.rows(), n, narrowed);
  }

  private static double[] widen(float[] values) {
    double[] wide = new double[values.length];
    for (int i = 0; i < wide.length; i++) {
      wide[i] = values[i];
    }
    return wide;
  }

  private static int requireSquare(Matrix matrix) {
    if (matrix.rows() != matrix.cols()) {
      throw new IllegalArgumentException(
          "a %d x %d matrix is not symmetric".formatted(matrix.rows(), matrix.cols()));
    }
    return matrix.rows();
  }

  static void check(String what, int info) {
    if (info < 0) {
      throw new IllegalArgumentException(what + " was given a NaN (LAPACK info " + info + ")");
    }
    if (info > 0) {
      throw new ArithmeticException(what + " did not converge (LAPACK info " + info + ")");
    }
  }

  @Override
  public Weights weights(int rows, int cols, Consumer<FloatBuffer> fill) {
    long bytes = (long) rows * cols * Float.BYTES;
    if (bytes > Integer.MAX_VALUE) {
      throw new IllegalArgumentException("weights of %d x %d are over 2 GiB".formatted(rows, cols));
    }
    FloatBuffer buffer = direct(rows * cols);
    fill.accept(buffer.duplicate());
    return new NativeWeights(rows, cols, new FloatPointer(buffer));
  }

  /** The pointer keeps its direct buffer alive; the buffer's cleaner frees the memory. */
  private record NativeWeights(int rows, int cols, FloatPointer pointer) implements Weights {}

  @Override
  public void project(Weights weights, int samples, float[] x, float[] y) {
    if (!(weights instanceof NativeWeights w)) {
      throw new IllegalArgumentException("these weights belong to another compute");
    }
    int in = w.cols();
    int out = w.rows();
    if ((long) samples * in > x.length || (long) samples * out > y.length) {
      throw new IllegalArgumentException(
          "%d samples through %d x %d don't fit arrays of %d and %d"
              .formatted(samples, out, in, x.length, y.length));
    }
    if (samples == 0 || out == 0) {
      return;
    }
    Scratch input = inputs.get().holding(samples * in);
    Scratch output = outputs.get().holding(samples * out);
    input.buffer.put(0, x, 0, samples * in);
    if (samples == 1) {
      cblas_sgemv(
          CblasRowMajor,
          CblasNoTrans,
          out,
          in,
          1f,
          w.pointer,
          in,
          input.pointer,
          1,
          0f,
          output.pointer,
          1);
    } else {
      cblas_sgemm(
          CblasRowMajor,
          CblasNoTrans,
          CblasTrans,
          samples,
          out,
          in,
          1f,
          input.pointer,
          in,
          w.pointer,
          in,
          0f,
          output.pointer,
          out);
    }
    output.buffer.get(0, y, 0, samples * out);
  }

  /** Native memory of one thread that grows to the largest product it has seen. */
  private static final class Scratch {
    private FloatBuffer buffer = direct(0);
    private FloatPointer pointer = new FloatPointer(buffer);

    Scratch holding(int count) {
      if (buffer.capacity() < count) {
        buffer = direct(Math.max(count, Math.min(2 * buffer.capacity(), 1 << 20)));
        pointer = new FloatPointer(buffer);
      }
      return this;
    }
  }

  private static FloatBuffer direct(int count) {
    return ByteBuffer.allocateDirect(count * Float.BYTES)
        .order(ByteOrder.nativeOrder())
        .asFloatBuffer();
  }
}
