package dev.smelt.agent.merge;

import static java.nio.ByteOrder.LITTLE_ENDIAN;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LSHR;

import java.nio.ByteBuffer;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * As many elements at once as the processor has lanes for. Elements are loaded in pairs, as 32-bit
 * integers: the upper half of a lane is an element's value as a float already, and so is the lower
 * half when it is shifted up, so that nothing needs to be unpacked.
 */
final class VectorBfloat16 extends Bfloat16 {

  private static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_PREFERRED;
  private static final VectorSpecies<Integer> PAIRS = IntVector.SPECIES_PREFERRED;
  private static final VectorSpecies<Long> LONGS = LongVector.SPECIES_PREFERRED;
  private static final int ELEMENTS = 2 * PAIRS.length();
  private static final int UPPER = 0xffff_0000;
  private static final int LOWER = 0xffff;
  private static final long UPPER_PAIR = 0xffff_ffff_0000_0000L;
  private static final long LOWER_PAIR = 0xffff_ffffL;

  /** Sums stay in registers over all parts. */
  @Override
  float sum(Parts parts, float scale, int from, int to, byte[] into, int at) {
    ByteBuffer[] stored = parts.stored();
    int[] first = parts.at();
    float[] weights = parts.weights();
    FloatVector poison = FloatVector.zero(FLOATS);
    int i = from;
    for (; i <= to - ELEMENTS; i += ELEMENTS) {
      FloatVector even = FloatVector.broadcast(FLOATS, -0f);
      FloatVector odd = even;
      for (int part = 0; part < weights.length; part++) {
        IntVector pairs =
            IntVector.fromByteBuffer(PAIRS, stored[part], first[part] + 2 * i, LITTLE_ENDIAN);
        FloatVector weight = FloatVector.broadcast(FLOATS, weights[part]);
        even = pairs.lanewise(LSHL, 16).reinterpretAsFloats().mul(weight).add(even);
        odd = pairs.and(UPPER).reinterpretAsFloats().mul(weight).add(odd);
      }
      even = even.mul(scale);
      odd = odd.mul(scale);
      poison = poison.add(even.mul(0f)).add(odd.mul(0f));
      rounded(even, odd).intoByteArray(into, at + 2 * i, LITTLE_ENDIAN);
    }
    return poison.reduceLanes(VectorOperators.ADD) + super.sum(parts, scale, i, to, into, at);
  }

  @Override
  float sumInterleaved(long[][] parts, float[] weights, float scale, long[] into) {
    FloatVector poison = FloatVector.zero(FLOATS);
    for (int i = 0; i < into.length; i += LONGS.length()) {
      FloatVector even = FloatVector.broadcast(FLOATS, -0f);
      FloatVector odd = even;
      for (int part = 0; part < weights.length; part++) {
        IntVector pairs = LongVector.fromArray(LONGS, parts[part], i).reinterpretAsInts();
        FloatVector weight = FloatVector.broadcast(FLOATS, weights[part]);
        even = pairs.lanewise(LSHL, 16).reinterpretAsFloats().mul(weight).add(even);
        odd = pairs.and(UPPER).reinterpretAsFloats().mul(weight).add(odd);
      }
      even = even.mul(scale);
      odd = odd.mul(scale);
      poison = poison.add(even.mul(0f)).add(odd.mul(0f));
      rounded(even, odd).reinterpretAsLongs().intoArray(into, i);
    }
    return poison.reduceLanes(VectorOperators.ADD);
  }

  private static IntVector rounded(FloatVector even, FloatVector odd) {
    return roundedUp(even).lanewise(LSHR, 16).or(roundedUp(odd).and(UPPER));
  }

  /** Rounded in the upper half of each lane. */
  private static IntVector roundedUp(FloatVector values) {
    IntVector bits = values.reinterpretAsInts();
    return bits.add(bits.lanewise(LSHR, 16).and(1)).add(0x7fff);
  }

  /** First pairs of rows, then pairs of these; columns end up by what they leave modulo 4. */
  @Override
  void interleave(ByteBuffer stored, int[] at, int from, int cols, long[] into) {
    int col = from;
    for (; col <= cols - ELEMENTS; col += ELEMENTS) {
      IntVector a = IntVector.fromByteBuffer(PAIRS, stored, at[0] + 2 * col, LITTLE_ENDIAN);
      IntVector b = IntVector.fromByteBuffer(PAIRS, stored, at[1] + 2 * col, LITTLE_ENDIAN);
      IntVector c = IntVector.fromByteBuffer(PAIRS, stored, at[2] + 2 * col, LITTLE_ENDIAN);
      IntVector d = IntVector.fromByteBuffer(PAIRS, stored, at[3] + 2 * col, LITTLE_ENDIAN);
      LongVector evenAb = lowers(a, b).reinterpretAsLongs();
      LongVector evenCd = lowers(c, d).reinterpretAsLongs();
      LongVector oddAb = uppers(a, b).reinterpretAsLongs();
      LongVector oddCd = uppers(c, d).reinterpretAsLongs();
      lowers(evenAb, evenCd).intoArray(into, interleaved(col, cols));
      lowers(oddAb, oddCd).intoArray(into, interleaved(col + 1, cols));
      uppers(evenAb, evenCd).intoArray(into, interleaved(col + 2, cols));
      uppers(oddAb, oddCd).intoArray(into, interleaved(col + 3, cols));
    }
    super.interleave(stored, at, col, cols, into);
  }

  @Override
  void separate(long[] interleaved, int[] at, int from, int cols, byte[] into) {
    int col = from;
    for (; col <= cols - ELEMENTS; col += ELEMENTS) {
      LongVector first = columns(interleaved, col, cols);
      LongVector second = columns(interleaved, col + 1, cols);
      LongVector third = columns(interleaved, col + 2, cols);
      LongVector fourth = columns(interleaved, col + 3, cols);
      IntVector evenAb = lowers(first, third).reinterpretAsInts();
      IntVector evenCd = uppers(first, third).reinterpretAsInts();
      IntVector oddAb = lowers(second, fourth).reinterpretAsInts();
      IntVector oddCd = uppers(second, fourth).reinterpretAsInts();
      lowers(evenAb, oddAb).intoByteArray(into, at[0] + 2 * col, LITTLE_ENDIAN);
      uppers(evenAb, oddAb).intoByteArray(into, at[1] + 2 * col, LITTLE_ENDIAN);
      lowers(evenCd, oddCd).intoByteArray(into, at[2] + 2 * col, LITTLE_ENDIAN);
      uppers(evenCd, oddCd).intoByteArray(into, at[3] + 2 * col, LITTLE_ENDIAN);
    }
    super.separate(interleaved, at, col, cols, into);
  }

  private static LongVector columns(long[] interleaved, int col, int cols) {
    return LongVector.fromArray(LONGS, interleaved, interleaved(col, cols));
  }

  private static IntVector lowers(IntVector a, IntVector b) {
    return a.and(LOWER).or(b.lanewise(LSHL, 16));
  }

  private static IntVector uppers(IntVector a, IntVector b) {
    return a.lanewise(LSHR, 16).or(b.and(UPPER));
  }

  private static LongVector lowers(LongVector a, LongVector b) {
    return a.and(LOWER_PAIR).or(b.lanewise(LSHL, 32));
  }

  private static LongVector uppers(LongVector a, LongVector b) {
    return a.lanewise(LSHR, 32).or(b.and(UPPER_PAIR));
  }
}
