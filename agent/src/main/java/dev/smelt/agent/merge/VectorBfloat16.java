package dev.smelt.agent.merge;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/** As many elements at once as the processor has lanes for. */
final class VectorBfloat16 extends Bfloat16 {

  private static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_PREFERRED;
  private static final VectorSpecies<Integer> INTS = IntVector.SPECIES_PREFERRED;
  private static final VectorSpecies<Short> SHORTS =
      VectorSpecies.of(short.class, VectorShape.forBitSize(INTS.vectorBitSize() / 2));

  @Override
  void accumulate(short[] stored, int count, float weight, float[] sums) {
    FloatVector factor = FloatVector.broadcast(FLOATS, weight);
    int vectorised = INTS.loopBound(count);
    for (int i = 0; i < vectorised; i += INTS.length()) {
      ShortVector.fromArray(SHORTS, stored, i)
          .convertShape(VectorOperators.S2I, INTS, 0)
          .reinterpretAsInts()
          .lanewise(VectorOperators.LSHL, 16)
          .reinterpretAsFloats()
          .fma(factor, FloatVector.fromArray(FLOATS, sums, i))
          .intoArray(sums, i);
    }
    for (int i = vectorised; i < count; i++) {
      sums[i] = Math.fma(weight, Float.intBitsToFloat(stored[i] << 16), sums[i]);
    }
  }

  @Override
  void encode(float[] values, int count, short[] into) {
    int vectorised = INTS.loopBound(count);
    for (int i = 0; i < vectorised; i += INTS.length()) {
      IntVector bits = FloatVector.fromArray(FLOATS, values, i).reinterpretAsInts();
      ((ShortVector)
              bits.add(bits.lanewise(VectorOperators.LSHR, 16).and(1))
                  .add(0x7fff)
                  .lanewise(VectorOperators.LSHR, 16)
                  .convertShape(VectorOperators.I2S, SHORTS, 0))
          .intoArray(into, i);
    }
    for (int i = vectorised; i < count; i++) {
      into[i] = rounded(values[i]);
    }
  }
}
