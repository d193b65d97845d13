package dev.smelt.streams.wire;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.LongBuffer;

/**
 * Counts that are mostly below 256, inside a record: their low bytes side by side, and apart from
 * them the rest of those that are larger. Eight of them are added up at a time, straight from the
 * bytes of the record, which are not copied.
 */
public final class BytePlane {

  /** Marks the bytes 0, 2, 4 and 6 of eight. */
  static final long EVEN = 0x00ff_00ff_00ff_00ffL;

  /** So many sums of two bytes fit into two bytes. */
  private static final int SUMS_OF_TWO = 128;

  private final byte[] bytes;
  private final int begin;
  private final int size;
  private final LongBuffer words;
  private final int[] large;
  private final long[] rest;

  /**
   * @param begin where the low bytes begin
   * @param large positions of the counts that are 256 or more
   * @param rest what to add to their low bytes
   */
  BytePlane(byte[] bytes, int begin, int size, int[] large, long[] rest) {
    this.bytes = bytes;
    this.begin = begin;
    this.size = size;
    this.words =
        ByteBuffer.wrap(bytes, begin, size).slice().order(ByteOrder.LITTLE_ENDIAN).asLongBuffer();
    this.large = large;
    this.rest = rest;
  }

  /** Number of counts. */
  public int size() {
    return size;
  }

  /** Sum of the counts; negative if it overflows, as only a contradictory record makes it. */
  public long total() {
    long total = 0;
    long[] block = new long[SUMS_OF_TWO];
    int all = size / Long.BYTES;
    for (int first = 0; first < all; first += SUMS_OF_TWO) {
      int count = Math.min(SUMS_OF_TWO, all - first);
      words(first, block, count);
      long sums = 0;
      for (int i = 0; i < count; i++) {
        sums += (block[i] & EVEN) + ((block[i] >>> Byte.SIZE) & EVEN);
      }
      for (int lane = 0; lane < Long.SIZE; lane += Short.SIZE) {
        total += (sums >>> lane) & 0xffff;
      }
    }
    for (int i = all * Long.BYTES; i < size; i++) {
      total += low(i);
    }
    for (long more : rest) {
      total = total < 0 || more > Long.MAX_VALUE - total ? Long.MIN_VALUE : total + more;
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

  /** Reads words of eight low bytes, the first of them lowest. */
  void words(int first, long[] into, int count) {
    words.get(first, into, 0, count);
  }

  int low(int position) {
    return bytes[begin + position] & 0xff;
  }

  void addRest(long[] sums) {
    for (int i = 0; i < large.length; i++) {
      sums[large[i]] += rest[i];
    }
  }
}
