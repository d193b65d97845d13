package dev.smelt.streams.wire;

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

  /** For eight positions two words: the four even ones, then the four odd ones. */
  private long @Nullable [] waiting;

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
    if (waiting != null && planes > 0) {
      int words = sums.length / Long.BYTES;
      for (int word = 0; word < words; word++) {
        long even = waiting[2 * word];
        long odd = waiting[2 * word + 1];
        int at = word * Long.BYTES;
        for (int i = 0; i < Long.BYTES; i += 2) {
          sums[at + i] += even & 0xffff;
          sums[at + i + 1] += odd & 0xffff;
          even >>>= Short.SIZE;
          odd >>>= Short.SIZE;
        }
        waiting[2 * word] = 0;
        waiting[2 * word + 1] = 0;
      }
      planes = 0;
    }
    return sums;
  }

  /**
   * @param more as many counts as there are sums
   */
  public void add(long[] more) {
    for (int i = 0; i < sums.length; i++) {
      sums[i] += more[i];
    }
  }

  /**
   * @param plane as many counts as there are sums
   */
  public void add(BytePlane plane) {
    if (plane.size() != sums.length) {
      throw new IllegalArgumentException(plane.size() + " counts for " + sums.length + " sums");
    }
    if (waiting == null) {
      waiting = new long[sums.length / Long.BYTES * 2];
    } else if (planes == PLANES) {
      settled();
    }
    planes++;
    long[] lanes = waiting;
    int words = lanes.length / 2;
    for (int word = 0; word < words; word++) {
      long eight = plane.eight(word);
      lanes[2 * word] += eight & BytePlane.EVEN;
      lanes[2 * word + 1] += eight >>> Byte.SIZE & BytePlane.EVEN;
    }
    for (int i = words * Long.BYTES; i < sums.length; i++) {
      sums[i] += plane.low(i);
    }
    plane.addRest(sums);
  }
}
