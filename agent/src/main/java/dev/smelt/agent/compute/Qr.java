package dev.smelt.agent.compute;

/** A tall matrix, m x n, as {@code Q R}. */
public interface Qr {

  /** R, n x n, upper triangular. */
  Matrix triangular();

  /**
   * {@code Q · x}, where Q is m x n with orthonormal columns.
   *
   * @param x n x k
   * @return m x k
   */
  Matrix times(Matrix x);
}
