package dev.smelt.streams.benchmark;

import java.util.SplittableRandom;

/**
 * Draws one of a few things with given weights, in constant time: the alias method (Walker, 1977;
 * tables by Vose, 1991).
 */
final class Choice {

  private final int[] alias;
  private final double[] keep;

  /** For each thing the share of 2^31 that it keeps, and in the low half who gets the rest. */
  private final long[] table;

  private final int[] small;
  private final int[] large;

  Choice(int things) {
    alias = new int[things];
    keep = new double[things];
    table = new long[things];
    small = new int[things];
    large = new int[things];
  }

  /**
   * @param weights positive; [things]
   */
  void prepare(double[] weights) {
    double sum = 0;
    for (double weight : weights) {
      sum += weight;
    }
    int smalls = 0;
    int larges = 0;
    for (int i = 0; i < keep.length; i++) {
      keep[i] = weights[i] * keep.length / sum;
      if (keep[i] < 1) {
        small[smalls++] = i;
      } else {
        large[larges++] = i;
      }
    }
    while (smalls > 0 && larges > 0) {
      int less = small[--smalls];
      int more = large[larges - 1];
      alias[less] = more;
      keep[more] -= 1 - keep[less];
      if (keep[more] < 1) {
        larges--;
        small[smalls++] = more;
      }
    }
    // What rounding left over is as good as 1.
    while (larges > 0) {
      keep[large[--larges]] = 1;
    }
    while (smalls > 0) {
      keep[small[--smalls]] = 1;
    }
    for (int i = 0; i < keep.length; i++) {
      table[i] = (Math.min((1L << 31) - 1, (long) (keep[i] * (1L << 31))) << 32) | alias[i];
    }
  }

  int draw(SplittableRandom random) {
    long bits = random.nextLong();
    int thing = (int) (((bits >>> 32) * table.length) >>> 32);
    long entry = table[thing];
    return (bits & 0x7fff_ffffL) < entry >>> 32 ? thing : (int) entry;
  }
}
