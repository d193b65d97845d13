package dev.smelt.streams.usage;

/** Positions in the upper triangle of a symmetric [experts, experts] matrix, packed row by row. */
public final class Triangle {

  private Triangle() {}

  /** Number of unordered pairs of different experts: the triangle without its diagonal. */
  public static int pairs(int experts) {
    return experts * (experts - 1) / 2;
  }

  /** Position of an unordered pair of two different experts. */
  public static int pair(int experts, int first, int second) {
    return pairRow(experts, Math.min(first, second)) + Math.max(first, second);
  }

  /** What to add to the higher expert of a pair whose lower one is given. */
  static int pairRow(int experts, int low) {
    return low * (2 * experts - low - 1) / 2 - low - 1;
  }

  /** Number of entries of the triangle with its diagonal. */
  public static int entries(int experts) {
    return experts * (experts + 1) / 2;
  }

  /** The whole matrix, row-major, of a packed triangle with its diagonal. */
  public static double[] unpack(int experts, double[] packed) {
    double[] full = new double[experts * experts];
    int at = 0;
    for (int row = 0; row < experts; row++) {
      for (int column = row; column < experts; column++) {
        double value = packed[at++];
        full[row * experts + column] = value;
        full[column * experts + row] = value;
      }
    }
    return full;
  }

  /** The packed entries above the diagonal of a row-major matrix. */
  static long[] packPairs(int experts, long[] full) {
    long[] packed = new long[pairs(experts)];
    int at = 0;
    for (int row = 0; row < experts; row++) {
      for (int column = row + 1; column < experts; column++) {
        packed[at++] = full[row * experts + column];
      }
    }
    return packed;
  }

  /** The packed triangle with its diagonal of a row-major matrix, whose lower half is not read. */
  public static double[] pack(int experts, double[] full) {
    double[] packed = new double[entries(experts)];
    int at = 0;
    for (int row = 0; row < experts; row++) {
      for (int column = row; column < experts; column++) {
        packed[at++] = full[row * experts + column];
      }
    }
    return packed;
  }
}
