package dev.smelt.agent.merge;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * Loops over bfloat16 numbers, stored little-endian. With vector instructions where the JVM was
 * started with {@code --add-modules jdk.incubator.vector}, because a JDK 17 does not find them by
 * itself; the results are the same to the last bit.
 */
class Bfloat16 {

  /** Rows that are interleaved: as many as one load and one store can move. */
  static final int ROWS = 4;

  /** The fastest that this JVM has. */
  static final Bfloat16 FASTEST =
      ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent()
          ? new VectorBfloat16()
          : new Bfloat16();

  /**
   * Where parts of a sum lie.
   *
   * @param stored little-endian
   * @param at byte position of each part's first element
   * @param weights one for each
   */
  record Parts(ByteBuffer[] stored, int[] at, float[] weights) {}

  /**
   * The scaled sum {@code scale * sum weight_m part_m}, rounded to nearest, ties to even.
   *
   * @param from first element
   * @param to element after the last
   * @param into takes element i at byte {@code at + 2 i}
   * @return zero; NaN if a sum is not finite
   */
  float sum(Parts parts, float scale, int from, int to, byte[] into, int at) {
    float[] sums = new float[to - from];
    // Minus zero, so that a lone part keeps the sign of its zeros.
    Arrays.fill(sums, -0f);
    for (int part = 0; part < parts.stored.length; part++) {
      ByteBuffer stored = parts.stored[part];
      int first = parts.at[part] + 2 * from;
      float weight = parts.weights[part];
      for (int i = 0; i < sums.length; i++) {
        sums[i] += weight * Float.intBitsToFloat(stored.getShort(first + 2 * i) << 16);
      }
    }
    float poison = 0;
    for (int i = 0; i < sums.length; i++) {
      float sum = sums[i] * scale;
      // Zero times what is not finite is NaN and stays so: no branch for each element.
      poison += 0f * sum;
      short rounded = rounded(sum);
      into[at + 2 * (from + i)] = (byte) rounded;
      into[at + 2 * (from + i) + 1] = (byte) (rounded >>> 8);
    }
    return poison;
  }

  static short rounded(float value) {
    int bits = Float.floatToRawIntBits(value);
    return (short) (bits + 0x7fff + (bits >>> 16 & 1) >>> 16);
  }

  /** Longs that {@link #ROWS} interleaved rows take, a multiple of 8. */
  static int interleavedLength(int cols) {
    return ROWS * section(cols);
  }

  /** Where column col of interleaved rows is. */
  static int interleaved(int col, int cols) {
    return (col & 3) * section(cols) + (col >> 2);
  }

  private static int section(int cols) {
    return (cols + 7) / 8 * 2;
  }

  /**
   * Puts the elements that {@link #ROWS} rows have in a column side by side.
   *
   * @param at byte position of each row
   * @param from first column
   * @param into takes column c at {@link #interleaved}, the first row in the lowest bits
   */
  void interleave(ByteBuffer stored, int[] at, int from, int cols, long[] into) {
    for (int col = from; col < cols; col++) {
      long column = 0;
      for (int row = ROWS - 1; row >= 0; row--) {
        column = column << 16 | stored.getShort(at[row] + 2 * col) & 0xffffL;
      }
      into[interleaved(col, cols)] = column;
    }
  }

  /**
   * The scaled sum, as {@link #sum}, of interleaved rows.
   *
   * @param into as long as each part
   * @return zero; NaN if a sum is not finite
   */
  float sumInterleaved(long[][] parts, float[] weights, float scale, long[] into) {
    float poison = 0;
    for (int i = 0; i < into.length; i++) {
      long column = 0;
      for (int row = ROWS - 1; row >= 0; row--) {
        float sum = -0f;
        for (int part = 0; part < parts.length; part++) {
          sum += weights[part] * Float.intBitsToFloat((int) (parts[part][i] >>> 16 * row) << 16);
        }
        sum *= scale;
        poison += 0f * sum;
        column = column << 16 | rounded(sum) & 0xffffL;
      }
      into[i] = column;
    }
    return poison;
  }

  /**
   * The inverse of {@link #interleave}.
   *
   * @param at byte position of each row in {@code into}
   */
  void separate(long[] interleaved, int[] at, int from, int cols, byte[] into) {
    ByteBuffer rows = ByteBuffer.wrap(into).order(ByteOrder.LITTLE_ENDIAN);
    for (int col = from; col < cols; col++) {
      long column = interleaved[interleaved(col, cols)];
      for (int row = 0; row < ROWS; row++) {
        rows.putShort(at[row] + 2 * col, (short) (column >>> 16 * row));
      }
    }
  }
}
