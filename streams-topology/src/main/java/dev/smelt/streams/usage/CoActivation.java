package dev.smelt.streams.usage;

import static java.util.Objects.requireNonNull;

import dev.smelt.streams.wire.BytePlane;
import dev.smelt.streams.wire.CountSums;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * How many tokens chose both of two experts, for every pair of different experts: the strict upper
 * triangle of a symmetric matrix, packed row by row.
 */
public final class CoActivation {

  private final int experts;
  private final @Nullable BytePlane plane;
  private volatile long @Nullable [] packed;

  /**
   * @param packed counts in the order of {@link Triangle#pair}; not copied, so that the caller
   *     gives it away
   */
  CoActivation(int experts, long[] packed) {
    this(experts, packed.length, packed, null);
  }

  /**
   * @param plane counts in the order of {@link Triangle#pair}, still in the bytes of a record
   */
  CoActivation(int experts, BytePlane plane) {
    this(experts, plane.size(), null, plane);
  }

  private CoActivation(
      int experts, int pairs, long @Nullable [] packed, @Nullable BytePlane plane) {
    if (pairs != Triangle.pairs(experts)) {
      throw new IllegalArgumentException(
          "co-activation of "
              + experts
              + " experts has "
              + Triangle.pairs(experts)
              + " pairs, not "
              + pairs);
    }
    this.experts = experts;
    this.packed = packed;
    this.plane = plane;
  }

  public int experts() {
    return experts;
  }

  /** Number of tokens that chose both; the experts must differ. */
  public long count(int first, int second) {
    if (first == second) {
      throw new IllegalArgumentException("a pair needs two different experts, not twice " + first);
    }
    return view()[Triangle.pair(experts, first, second)];
  }

  /** Sum over all pairs. */
  public long total() {
    if (plane != null) {
      return plane.total();
    }
    long sum = 0;
    for (long count : view()) {
      sum += count;
    }
    return sum;
  }

  /** Copy of the packed triangle. */
  public long[] packed() {
    return view().clone();
  }

  /** The packed triangle itself, for those who only read. */
  long[] view() {
    if (packed == null) {
      packed = requireNonNull(plane).toArray();
    }
    return packed;
  }

  void addTo(CountSums sums) {
    if (plane != null) {
      sums.add(plane);
    } else {
      sums.add(view());
    }
  }

  CoActivation plus(CoActivation other) {
    return new CoActivation(experts, Usage.sum(view(), other.view()));
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof CoActivation that && Arrays.equals(view(), that.view());
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(view());
  }
}
