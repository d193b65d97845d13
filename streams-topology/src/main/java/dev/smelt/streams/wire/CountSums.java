package dev.smelt.streams.wire;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Sums of counts, position by position. What comes as a {@link BytePlane} is first added up in two
 * bytes for each position, four positions in one addition, which is a quarter of the memory to go
 * through; the sums take it over before it can overflow, and before they are read. Not for use by
 * more than one thread.
 */
public final class CountSums {

  /** So many bytes add up to less than 2^16. */
  private static final int PLANES = 257;

  private final long[] sums;

  /** For each eight positions, sums of the four even ones. */
  private long @Nullable [] even;

  /** And of the four odd ones. */
  private long @Nullable [] odd;

  private int planes;

  public CountSums(int size) {
    sums = new long[size];
  }

  /** To be added to in place; what planes brought may still be missing. */
  public long[] array() {
    return sums;
  }

  /** The sums themselves, complete until more is added. */
  public long[] settled() {
    if (even != null && odd != null && planes > 0) {
      for (int word = 0; word < even.length; word++) {
        int at = word * Long.BYTES;
        for (int i = 0; i < Long.BYTES; i += 2) {
          sums[at + i] += (even[word] >>> (i * Byte.SIZE)) & 0xffff;
          sums[at + i + 1] += (odd[word] >>> (i * Byte.SIZE)) & 0xffff;
        }
      }
      Arrays.fill(even, 0);
      Arrays.fill(odd, 0);
      planes = 0;
    }
    return sums;
  }

  /**
   * Adds counts one by one.
   *
   * @param more as many counts as there are sums
   */
  public void add(long[] more) {
    for (int i = 0; i < sums.length; i++) {
      sums[i] += more[i];
    }
  }

  /**
   * Adds counts eight at a time.
   *
   * @param plane as many counts as there are sums
   */
  public void add(BytePlane plane) {
    if (plane.size() != sums.length) {
      throw new IllegalArgumentException(plane.size() + " counts for " + sums.length + " sums");
    }
    if (even == null || odd == null) {
      even = new long[sums.length / Long.BYTES];
      odd = new long[even.length];
    } else if (planes == PLANES) {
      settled();
    }
    planes++;
    plane.addTo(even, odd, sums);
  }
}
