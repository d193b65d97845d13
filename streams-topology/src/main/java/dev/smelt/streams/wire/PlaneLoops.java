package dev.smelt.streams.wire;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.LongBuffer;

/**
 * Loops over planes of low bytes, as words of eight of them, the first of which is lowest. With
 * vector instructions where the JVM was started with {@code --add-modules jdk.incubator.vector},
 * because a JDK 17 does not find them by itself; the results are the same.
 */
class PlaneLoops {

  /** The fastest that this JVM has. */
  static final PlaneLoops FASTEST =
      ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent()
          ? new VectorPlaneLoops()
          : new PlaneLoops();

  /** Marks the bytes 0, 2, 4 and 6 of eight. */
  static final long EVEN = 0x00ff_00ff_00ff_00ffL;

  /** Marks the two-byte numbers 0 and 2 of four. */
  static final long EVEN_SHORTS = 0x0000_ffff_0000_ffffL;

  /** So many sums of two bytes fit into two bytes. */
  static final int SUMS_OF_TWO = 128;

  private static final VarHandle WORD =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  /** Sum of the bytes of so many words. */
  long total(byte[] bytes, int begin, int words) {
    LongBuffer plane = words(bytes, begin, words);
    long[] block = new long[SUMS_OF_TWO];
    long total = 0;
    while (plane.hasRemaining()) {
      int count = Math.min(SUMS_OF_TWO, plane.remaining());
      plane.get(block, 0, count);
      long sums = 0;
      for (int i = 0; i < count; i++) {
        sums += (block[i] & EVEN) + ((block[i] >>> Byte.SIZE) & EVEN);
      }
      total += lanes(sums);
    }
    return total;
  }

  /**
   * Adds the bytes 0, 2, 4 and 6 of each word to the four two-byte sums of {@code even}, and the
   * others to those of {@code odd}.
   */
  void add(byte[] bytes, int begin, long[] even, long[] odd) {
    long[] plane = new long[even.length];
    words(bytes, begin, plane.length).get(plane);
    // Loops over whole arrays of one type: with an offset they would not become vectors.
    for (int i = 0; i < even.length; i++) {
      even[i] += plane[i] & EVEN;
    }
    for (int i = 0; i < odd.length; i++) {
      odd[i] += (plane[i] >>> Byte.SIZE) & EVEN;
    }
  }

  /** The total of at most {@link #SUMS_OF_TWO} words, word by word, beginning with one of them. */
  static long totalFrom(int from, byte[] bytes, int begin, int words) {
    long sums = 0;
    for (int i = from; i < words; i++) {
      long word = word(bytes, begin, i);
      sums += (word & EVEN) + ((word >>> Byte.SIZE) & EVEN);
    }
    return lanes(sums);
  }

  /** The additions, word by word, beginning with one of them. */
  static void addFrom(int from, byte[] bytes, int begin, long[] even, long[] odd) {
    for (int i = from; i < even.length; i++) {
      long word = word(bytes, begin, i);
      even[i] += word & EVEN;
      odd[i] += (word >>> Byte.SIZE) & EVEN;
    }
  }

  private static long word(byte[] bytes, int begin, int word) {
    return (long) WORD.get(bytes, begin + word * Long.BYTES);
  }

  private static LongBuffer words(byte[] bytes, int begin, int words) {
    return ByteBuffer.wrap(bytes, begin, words * Long.BYTES)
        .slice()
        .order(ByteOrder.LITTLE_ENDIAN)
        .asLongBuffer();
  }

  /** Sum of four two-byte numbers. */
  private static long lanes(long sums) {
    long pairs = (sums & EVEN_SHORTS) + ((sums >>> Short.SIZE) & EVEN_SHORTS);
    return (pairs & 0xffff_ffffL) + (pairs >>> Integer.SIZE);
  }
}
