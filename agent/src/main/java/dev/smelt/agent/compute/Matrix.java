package dev.smelt.agent.compute;

import java.util.Arrays;

/**
 * A dense matrix of 32-bit floats in row-major order. Mutable: {@link #values} is shared, not
 * copied, so that results can be written in place.
 *
 * @param rows number of rows, zero allowed
 * @param cols number of columns, zero allowed
 * @param values the elements, exactly {@code rows * cols} of them; element (i, j) is at {@code i *
 *     cols + j}
 */
public record Matrix(int rows, int cols, float[] values) {

  public Matrix {
    if (rows < 0 || cols < 0) {
      throw new IllegalArgumentException("a matrix can't be " + rows + " x " + cols);
    }
    if (values.length != (long) rows * cols) {
      throw new IllegalArgumentException(
          "a " + rows + " x " + cols + " matrix can't hold " + values.length + " values");
    }
  }

  /** A matrix of zeros. */
  public static Matrix zeros(int rows, int cols) {
    return new Matrix(rows, cols, new float[Math.multiplyExact(rows, cols)]);
  }

  /** The identity of size n. */
  public static Matrix identity(int n) {
    Matrix identity = zeros(n, n);
    for (int i = 0; i < n; i++) {
      identity.values[i * n + i] = 1f;
    }
    return identity;
  }

  public float at(int row, int col) {
    return values[row * cols + col];
  }

  public void set(int row, int col, float value) {
    values[row * cols + col] = value;
  }

  /** A deep copy. */
  public Matrix copy() {
    return new Matrix(rows, cols, values.clone());
  }

  /** A new matrix with rows and columns exchanged. */
  public Matrix transpose() {
    // Small blocks written row by row: where rows are a power of two, larger ones evict each other.
    int block = 16;
    float[] turned = new float[values.length];
    for (int top = 0; top < rows; top += block) {
      for (int left = 0; left < cols; left += block) {
        int bottom = Math.min(rows, top + block);
        int right = Math.min(cols, left + block);
        for (int j = left; j < right; j++) {
          for (int i = top; i < bottom; i++) {
            turned[j * rows + i] = values[i * cols + j];
          }
        }
      }
    }
    return new Matrix(cols, rows, turned);
  }

  /** A new matrix of the rows {@code from} (inclusive) to {@code to} (exclusive). */
  public Matrix rows(int from, int to) {
    return new Matrix(to - from, cols, Arrays.copyOfRange(values, from * cols, to * cols));
  }

  /** A new matrix whose row i is this one's row {@code indices[i]}; indices may repeat. */
  public Matrix gatherRows(int[] indices) {
    Matrix gathered = zeros(indices.length, cols);
    for (int i = 0; i < indices.length; i++) {
      System.arraycopy(values, indices[i] * cols, gathered.values, i * cols, cols);
    }
    return gathered;
  }

  /** A new matrix whose column j is this one's column {@code indices[j]}; indices may repeat. */
  public Matrix gatherColumns(int[] indices) {
    Matrix gathered = zeros(rows, indices.length);
    for (int i = 0; i < rows; i++) {
      int row = i * cols;
      int into = i * indices.length;
      for (int j = 0; j < indices.length; j++) {
        gathered.values[into + j] = values[row + indices[j]];
      }
    }
    return gathered;
  }

  /** Multiplies row i by {@code factors[i]}, in place. */
  public void scaleRows(float[] factors) {
    for (int i = 0; i < rows; i++) {
      float factor = factors[i];
      for (int at = i * cols; at < (i + 1) * cols; at++) {
        values[at] *= factor;
      }
    }
  }

  /** The Euclidean norm of each row, accumulated in double precision. */
  public double[] rowNorms() {
    double[] norms = new double[rows];
    for (int i = 0; i < rows; i++) {
      norms[i] = Math.sqrt(sumOfSquares(i * cols, (i + 1) * cols));
    }
    return norms;
  }

  /** The Frobenius norm, accumulated in double precision. */
  public double norm() {
    return Math.sqrt(sumOfSquares(0, values.length));
  }

  private double sumOfSquares(int from, int to) {
    double sum = 0;
    for (int at = from; at < to; at++) {
      sum += (double) values[at] * values[at];
    }
    return sum;
  }
}
