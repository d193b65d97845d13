package dev.smelt.streams.wire;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * Counts that are mostly below 256, inside a record: their low bytes side by side, and apart from
 * them the rest of those that are larger. Eight of them are added up at a time, straight from the
 * bytes of the record, which are not copied.
 */
public final class BytePlane {

  /** Marks the bytes 0, 2, 4 and 6 of eight. */
  static final long EVEN = 0x00ff_00ff_00ff_00ffL;

  private static final VarHandle EIGHT =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  /** So many sums of two bytes fit into two bytes. */
  private static final int SUMS_OF_TWO = 128;

  private final byte[] bytes;
  private final int begin;
  private final int size;
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
    int words = size / Long.BYTES;
    for (int word = 0; word < words; word += SUMS_OF_TWO) {
      long sums = 0;
      for (int i = word; i < Math.min(words, word + SUMS_OF_TWO); i++) {
        long eight = eight(i);
        sums += (eight & EVEN) + (eight >>> Byte.SIZE & EVEN);
      }
      for (int lane = 0; lane < Long.SIZE; lane += Short.SIZE) {
        total += sums >>> lane & 0xffff;
      }
    }
    for (int i = words * Long.BYTES; i < size; i++) {
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

  /** Eight low bytes, the first of them lowest. */
  long eight(int word) {
    return (long) EIGHT.get(bytes, begin + word * Long.BYTES);
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
