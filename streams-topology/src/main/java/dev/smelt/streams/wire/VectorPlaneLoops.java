package dev.smelt.streams.wire;

import static jdk.incubator.vector.VectorOperators.LSHR;

import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * The loops with vector instructions; loaded only where the JVM has them.
 *
 * <p>They take four vectors a turn, which also makes them too large (more than 325 bytes of code)
 * for the compiler to make them part of the methods that call them. There JDK 17 may fail to inline
 * what the loops themselves call, and then makes an object of each vector.
 */
final class VectorPlaneLoops extends PlaneLoops {

  private static final VectorSpecies<Byte> BYTES = ByteVector.SPECIES_PREFERRED;
  private static final VectorSpecies<Long> WORDS = LongVector.SPECIES_PREFERRED;

  @Override
  long total(byte[] bytes, int begin, int words) {
    int length = WORDS.length();
    int whole = words - words % (4 * length);
    LongVector total = LongVector.zero(WORDS);
    for (int from = 0; from < whole; from += SUMS_OF_TWO * length) {
      int end = Math.min(whole, from + SUMS_OF_TWO * length);
      LongVector even = LongVector.zero(WORDS);
      LongVector odd = LongVector.zero(WORDS);
      for (int i = from; i < end; i += 4 * length) {
        LongVector first = plane(bytes, begin, i);
        LongVector second = plane(bytes, begin, i + length);
        LongVector third = plane(bytes, begin, i + 2 * length);
        LongVector fourth = plane(bytes, begin, i + 3 * length);
        even = even.add(first.and(EVEN)).add(second.and(EVEN));
        odd = odd.add(odd(first)).add(odd(second));
        even = even.add(third.and(EVEN)).add(fourth.and(EVEN));
        odd = odd.add(odd(third)).add(odd(fourth));
      }
      total =
          total.add(even.and(EVEN_SHORTS)).add(even.lanewise(LSHR, Short.SIZE).and(EVEN_SHORTS));
      total = total.add(odd.and(EVEN_SHORTS)).add(odd.lanewise(LSHR, Short.SIZE).and(EVEN_SHORTS));
    }
    long low = total.and(0xffff_ffffL).reduceLanes(VectorOperators.ADD);
    long high = total.lanewise(LSHR, Integer.SIZE).reduceLanes(VectorOperators.ADD);
    return low + high + totalFrom(whole, bytes, begin, words);
  }

  @Override
  void add(byte[] bytes, int begin, long[] even, long[] odd) {
    int length = WORDS.length();
    int whole = even.length - even.length % (4 * length);
    for (int i = 0; i < whole; i += 4 * length) {
      LongVector first = plane(bytes, begin, i);
      LongVector second = plane(bytes, begin, i + length);
      LongVector third = plane(bytes, begin, i + 2 * length);
      LongVector fourth = plane(bytes, begin, i + 3 * length);
      sums(even, i).add(first.and(EVEN)).intoArray(even, i);
      sums(odd, i).add(odd(first)).intoArray(odd, i);
      sums(even, i + length).add(second.and(EVEN)).intoArray(even, i + length);
      sums(odd, i + length).add(odd(second)).intoArray(odd, i + length);
      sums(even, i + 2 * length).add(third.and(EVEN)).intoArray(even, i + 2 * length);
      sums(odd, i + 2 * length).add(odd(third)).intoArray(odd, i + 2 * length);
      sums(even, i + 3 * length).add(fourth.and(EVEN)).intoArray(even, i + 3 * length);
      sums(odd, i + 3 * length).add(odd(fourth)).intoArray(odd, i + 3 * length);
    }
    addFrom(whole, bytes, begin, even, odd);
  }

  private static LongVector plane(byte[] bytes, int begin, int word) {
    return ByteVector.fromArray(BYTES, bytes, begin + word * Long.BYTES).reinterpretAsLongs();
  }

  private static LongVector odd(LongVector plane) {
    return plane.lanewise(LSHR, Byte.SIZE).and(EVEN);
  }

  private static LongVector sums(long[] sums, int word) {
    return LongVector.fromArray(WORDS, sums, word);
  }
}
