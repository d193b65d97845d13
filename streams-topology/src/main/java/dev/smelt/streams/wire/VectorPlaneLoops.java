package dev.smelt.streams.wire;

import static jdk.incubator.vector.VectorOperators.LSHR;

import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/** The loops with vector instructions; loaded only where the JVM has them. */
final class VectorPlaneLoops extends PlaneLoops {

  private static final VectorSpecies<Byte> BYTES = ByteVector.SPECIES_PREFERRED;
  private static final VectorSpecies<Long> WORDS = LongVector.SPECIES_PREFERRED;

  @Override
  long total(byte[] bytes, int begin, int words) {
    int whole = WORDS.loopBound(words);
    LongVector total = LongVector.zero(WORDS);
    for (int first = 0; first < whole; first += SUMS_OF_TWO * WORDS.length()) {
      int end = Math.min(whole, first + SUMS_OF_TWO * WORDS.length());
      LongVector sums = LongVector.zero(WORDS);
      for (int i = first; i < end; i += WORDS.length()) {
        LongVector plane = plane(bytes, begin, i);
        sums = sums.add(plane.and(EVEN)).add(plane.lanewise(LSHR, Byte.SIZE).and(EVEN));
      }
      total =
          total.add(sums.and(EVEN_SHORTS)).add(sums.lanewise(LSHR, Short.SIZE).and(EVEN_SHORTS));
    }
    long low = total.and(0xffff_ffffL).reduceLanes(VectorOperators.ADD);
    long high = total.lanewise(LSHR, Integer.SIZE).reduceLanes(VectorOperators.ADD);
    return low + high + super.total(bytes, begin + whole * Long.BYTES, words - whole);
  }

  @Override
  void add(byte[] bytes, int begin, long[] even, long[] odd) {
    int whole = WORDS.loopBound(even.length);
    for (int i = 0; i < whole; i += WORDS.length()) {
      LongVector plane = plane(bytes, begin, i);
      plane.and(EVEN).add(LongVector.fromArray(WORDS, even, i)).intoArray(even, i);
      plane
          .lanewise(LSHR, Byte.SIZE)
          .and(EVEN)
          .add(LongVector.fromArray(WORDS, odd, i))
          .intoArray(odd, i);
    }
    addFrom(whole, bytes, begin, even, odd);
  }

  private static LongVector plane(byte[] bytes, int begin, int word) {
    return ByteVector.fromArray(BYTES, bytes, begin + word * Long.BYTES).reinterpretAsLongs();
  }
}
