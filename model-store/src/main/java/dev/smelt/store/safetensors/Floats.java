package dev.smelt.store.safetensors;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Conversion between stored floating-point formats and 32-bit floats.
 *
 * <p>Formats: IEEE 754 binary16/32/64; bfloat16; the 8-bit formats of "FP8 Formats for Deep
 * Learning" (Micikevicius et al., 2022): E5M2 has infinities, E4M3 has none and one NaN pattern.
 */
public final class Floats {

  private static final SmallFloat HALF = new SmallFloat(5, 10, 0x7c00);
  private static final SmallFloat E5M2 = new SmallFloat(5, 2, 0x7c);
  private static final SmallFloat E4M3 = new SmallFloat(4, 3, 0x7f);
  private static final float[] HALF_VALUES = HALF.values();
  private static final float[] E5M2_VALUES = E5M2.values();
  private static final float[] E4M3_VALUES = E4M3.values();
  private static final int CHUNK = 4096;

  private Floats() {}

  /**
   * Decodes elements from the buffer's position, which moves on.
   *
   * @throws IllegalArgumentException if the type is not floating-point
   */
  public static void decode(ByteBuffer from, DType dtype, float[] into, int at, int count) {
    ByteBuffer bytes = from.order() == ByteOrder.LITTLE_ENDIAN ? from : littleEndian(from);
    int start = from.position();
    switch (dtype) {
      case F32 -> bytes.asFloatBuffer().get(into, at, count);
      case F64 -> {
        for (int i = 0; i < count; i++) {
          into[at + i] = (float) bytes.getDouble(start + i * 8);
        }
      }
      case BF16, F16 -> decodeShorts(bytes, dtype, into, at, count);
      case F8_E4M3, F8_E5M2 -> {
        float[] values = dtype == DType.F8_E4M3 ? E4M3_VALUES : E5M2_VALUES;
        for (int i = 0; i < count; i++) {
          into[at + i] = values[bytes.get(start + i) & 0xff];
        }
      }
      default -> throw new IllegalArgumentException(dtype + " is not a floating-point type");
    }
    from.position(start + count * dtype.bytes());
  }

  private static void decodeShorts(ByteBuffer bytes, DType dtype, float[] into, int at, int count) {
    short[] chunk = new short[Math.min(count, CHUNK)];
    var shorts = bytes.asShortBuffer();
    for (int done = 0; done < count; ) {
      int n = Math.min(chunk.length, count - done);
      shorts.get(chunk, 0, n);
      if (dtype == DType.BF16) {
        for (int i = 0; i < n; i++) {
          into[at + done + i] = Float.intBitsToFloat(chunk[i] << 16);
        }
      } else {
        for (int i = 0; i < n; i++) {
          into[at + done + i] = HALF_VALUES[chunk[i] & 0xffff];
        }
      }
      done += n;
    }
  }

  private static ByteBuffer littleEndian(ByteBuffer from) {
    return from.duplicate().order(ByteOrder.LITTLE_ENDIAN);
  }

  /**
   * Encodes elements at the buffer's position, which moves on; rounds to nearest, ties to even.
   * Values beyond the range become infinite, or NaN in E4M3.
   *
   * @throws IllegalArgumentException if the type is not floating-point
   */
  public static void encode(float[] from, int at, int count, DType dtype, ByteBuffer into) {
    ByteBuffer bytes = into.order() == ByteOrder.LITTLE_ENDIAN ? into : littleEndian(into);
    int start = into.position();
    switch (dtype) {
      case F32 -> bytes.asFloatBuffer().put(from, at, count);
      case F64 -> {
        for (int i = 0; i < count; i++) {
          bytes.putDouble(start + i * 8, from[at + i]);
        }
      }
      case BF16 -> {
        for (int i = 0; i < count; i++) {
          bytes.putShort(start + i * 2, bfloat16(from[at + i]));
        }
      }
      case F16 -> {
        for (int i = 0; i < count; i++) {
          bytes.putShort(start + i * 2, (short) HALF.encode(from[at + i]));
        }
      }
      case F8_E4M3, F8_E5M2 -> {
        SmallFloat format = dtype == DType.F8_E4M3 ? E4M3 : E5M2;
        for (int i = 0; i < count; i++) {
          bytes.put(start + i, (byte) format.encode(from[at + i]));
        }
      }
      default -> throw new IllegalArgumentException(dtype + " is not a floating-point type");
    }
    into.position(start + count * dtype.bytes());
  }

  private static short bfloat16(float value) {
    int bits = Float.floatToRawIntBits(value);
    if ((bits & 0x7fff_ffff) > 0x7f80_0000) {
      return (short) (bits >>> 16 | 0x40);
    }
    return (short) (bits + 0x7fff + (bits >>> 16 & 1) >>> 16);
  }

  /**
   * A format of up to 16 bits: sign, exponent, mantissa.
   *
   * @param overflow the pattern for values beyond the largest finite one
   */
  private record SmallFloat(int exponentBits, int mantissaBits, int overflow) {

    private int bias() {
      return (1 << exponentBits - 1) - 1;
    }

    private int encode(float value) {
      int bits = Float.floatToRawIntBits(value);
      int sign = bits >>> 31 << exponentBits + mantissaBits;
      int magnitude = bits & 0x7fff_ffff;
      if (magnitude > 0x7f80_0000) {
        return sign | nan(magnitude);
      }
      int dropped = 23 - mantissaBits;
      int exponent = (magnitude >>> 23) - 127;
      int result;
      if (exponent >= 1 - bias()) {
        result = roundedShift(magnitude, dropped) - (127 - bias() << mantissaBits);
      } else {
        int shift = dropped + 1 - bias() - exponent;
        result = shift > 25 ? 0 : roundedShift(magnitude & 0x7f_ffff | 0x80_0000, shift);
      }
      return sign | Math.min(result, overflow);
    }

    private static int roundedShift(int value, int shift) {
      return value + (1 << shift - 1) - 1 + (value >>> shift & 1) >>> shift;
    }

    private int nan(int magnitude) {
      if (overflow != 0x7c00 && overflow != 0x7c) {
        return overflow;
      }
      int payload = (magnitude & 0x7f_ffff) >>> 23 - mantissaBits;
      return overflow | payload | 1 << mantissaBits - 1;
    }

    private float[] values() {
      int count = 1 << 1 + exponentBits + mantissaBits;
      float[] values = new float[count];
      for (int pattern = 0; pattern < count; pattern++) {
        values[pattern] = decode(pattern);
      }
      return values;
    }

    private float decode(int pattern) {
      int magnitude = pattern & (1 << exponentBits + mantissaBits) - 1;
      int sign = pattern >>> exponentBits + mantissaBits << 31;
      int exponent = magnitude >>> mantissaBits;
      int mantissa = magnitude & (1 << mantissaBits) - 1;
      boolean special =
          exponentBits == 4 ? magnitude == overflow : exponent == (1 << exponentBits) - 1;
      if (special) {
        int payload = exponentBits == 4 ? 0x40_0000 : mantissa << 23 - mantissaBits;
        return Float.intBitsToFloat(sign | 0x7f80_0000 | payload);
      }
      float scale =
          exponent == 0
              ? Math.scalb((float) mantissa, 1 - bias() - mantissaBits)
              : Math.scalb(
                  (float) (mantissa | 1 << mantissaBits), exponent - bias() - mantissaBits);
      return Float.intBitsToFloat(sign | Float.floatToRawIntBits(scale));
    }
  }
}
