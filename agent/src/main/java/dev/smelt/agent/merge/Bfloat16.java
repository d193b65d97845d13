package dev.smelt.agent.merge;

/**
 * Loops over bfloat16 numbers, as bits in shorts. With vector instructions where the JVM was
 * started with {@code --add-modules jdk.incubator.vector}, because a JDK 17 does not find them by
 * itself; the results are the same to the last bit but for the rounding of a fused multiply-add.
 */
abstract class Bfloat16 {

  /** The fastest that this JVM has. */
  static final Bfloat16 FASTEST =
      ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent()
          ? new VectorBfloat16()
          : new PlainBfloat16();

  /** {@code sums[i] += weight * stored[i]} for the first elements. */
  abstract void accumulate(short[] stored, int count, float weight, float[] sums);

  /** Rounds the first elements to nearest, ties to even. Values must be finite. */
  abstract void encode(float[] values, int count, short[] into);

  static short rounded(float value) {
    int bits = Float.floatToRawIntBits(value);
    return (short) (bits + 0x7fff + (bits >>> 16 & 1) >>> 16);
  }

  /** One element after the other. */
  static final class PlainBfloat16 extends Bfloat16 {

    @Override
    void accumulate(short[] stored, int count, float weight, float[] sums) {
      for (int i = 0; i < count; i++) {
        sums[i] += weight * Float.intBitsToFloat(stored[i] << 16);
      }
    }

    @Override
    void encode(float[] values, int count, short[] into) {
      for (int i = 0; i < count; i++) {
        into[i] = rounded(values[i]);
      }
    }
  }
}
