package dev.smelt.streams.usage;

import java.util.Arrays;

/**
 * How many tokens chose both of two experts, for every pair of different experts: the strict upper
 * triangle of a symmetric matrix, packed row by row.
 */
public final class CoActivation {

  private final int experts;
  private final long[] packed;

  /**
   * @param packed counts in the order of {@link Triangle#pair}; not copied, so that the caller
   *     gives it away
   */
  CoActivation(int experts, long[] packed) {
    if (packed.length != Triangle.pairs(experts)) {
      throw new IllegalArgumentException(
          "co-activation of "
              + experts
              + " experts has "
              + Triangle.pairs(experts)
              + " pairs, not "
              + packed.length);
    }
    this.experts = experts;
    this.packed = packed;
  }

  public int experts() {
    return experts;
  }

  /** Number of tokens that chose both; the experts must differ. */
  public long count(int first, int second) {
    if (first == second) {
      throw new IllegalArgumentException("a pair needs two different experts, not twice " + first);
    }
    return packed[Triangle.pair(experts, first, second)];
  }

  /** Sum over all pairs. */
  public long total() {
    long sum = 0;
    for (long count : packed) {
      sum += count;
    }
    return sum;
  }

  /** Copy of the packed triangle. */
  public long[] packed() {
    return packed.clone();
  }

  /** The packed triangle itself, for those who only read. */
  long[] view() {
    return packed;
  }

  CoActivation plus(CoActivation other) {
    return new CoActivation(experts, Usage.sum(packed, other.packed));
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof CoActivation that && Arrays.equals(packed, that.packed);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(packed);
  }
}
