package dev.smelt.streams.wire;

/**
 * Counts that are mostly below 256, inside a record: their low bytes side by side, and apart from
 * them the rest of those that are larger. Eight of them are added up at a time, straight from the
 * bytes of the record, which are not copied.
 */
public final class BytePlane {

  private final byte[] bytes;
  private final int begin;
  private final int size;
  private final int[] large;
  private final long[] rest;
  private final int larges;

  /**
   * @param begin where the low bytes begin
   * @param large positions of the counts that are 256 or more
   * @param rest what to add to their low bytes
   * @param larges how many they are; the arrays may be longer
   */
  BytePlane(byte[] bytes, int begin, int size, int[] large, long[] rest, int larges) {
    this.bytes = bytes;
    this.begin = begin;
    this.size = size;
    this.large = large;
    this.rest = rest;
    this.larges = larges;
  }

  /** Number of counts. */
  public int size() {
    return size;
  }

  /** Sum of the counts; negative if it overflows, as only a contradictory record makes it. */
  public long total() {
    int words = size / Long.BYTES;
    long total = PlaneLoops.FASTEST.total(bytes, begin, words);
    for (int i = words * Long.BYTES; i < size; i++) {
      total += low(i);
    }
    for (int i = 0; i < larges; i++) {
      total = total < 0 || rest[i] > Long.MAX_VALUE - total ? Long.MIN_VALUE : total + rest[i];
    }
    return total;
  }

  /** The counts, one by one. */
  public long[] toArray() {
    long[] counts = new long[size];
    for (int i = 0; i < size; i++) {
      counts[i] = low(i);
    }
    addRest(counts);
    return counts;
  }

  /**
   * Adds up the low bytes of all counts.
   *
   * @param even for each eight counts, four sums of two bytes: those of the even ones
   * @param odd and those of the odd ones
   * @param sums takes what is left of less than eight counts, and the rest of the large ones
   */
  void addTo(long[] even, long[] odd, long[] sums) {
    PlaneLoops.FASTEST.add(bytes, begin, even, odd);
    for (int i = even.length * Long.BYTES; i < size; i++) {
      sums[i] += low(i);
    }
    addRest(sums);
  }

  private int low(int position) {
    return bytes[begin + position] & 0xff;
  }

  private void addRest(long[] sums) {
    for (int i = 0; i < larges; i++) {
      sums[large[i]] += rest[i];
    }
  }
}
