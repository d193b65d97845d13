package dev.smelt.store.safetensors;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class FloatsTest {

  private static int encode(DType dtype, float value) {
    ByteBuffer buffer = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
    Floats.encode(new float[] {value}, 0, 1, dtype, buffer);
    buffer.rewind();
    return dtype.bytes() == 1 ? buffer.get() & 0xff : buffer.getShort() & 0xffff;
  }

  private static float decode(DType dtype, int pattern) {
    ByteBuffer buffer = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
    buffer.putShort(0, (short) pattern);
    float[] into = new float[1];
    Floats.decode(buffer, dtype, into, 0, 1);
    return into[0];
  }

  @ParameterizedTest
  @EnumSource(names = {"BF16", "F16", "F8_E4M3", "F8_E5M2"})
  void shouldKeepEveryPattern(DType dtype) {
    for (int pattern = 0; pattern < 1 << 8 * dtype.bytes(); pattern++) {
      float value = decode(dtype, pattern);
      if (!Float.isNaN(value)) {
        assertThat(encode(dtype, value)).isEqualTo(pattern);
      } else {
        assertThat(decode(dtype, encode(dtype, value))).isNaN();
      }
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"BF16", "F16", "F8_E4M3", "F8_E5M2"})
  void shouldRoundMidpointsToEven(DType dtype) {
    int largest =
        switch (dtype) {
          case BF16 -> 0x7f7f;
          case F16 -> 0x7bff;
          case F8_E4M3 -> 0x7e;
          default -> 0x7b;
        };
    for (int pattern = 0; pattern < largest; pattern++) {
      float low = decode(dtype, pattern);
      float high = decode(dtype, pattern + 1);
      float middle = low + (high - low) / 2;
      int even = (pattern & 1) == 0 ? pattern : pattern + 1;
      assertThat(encode(dtype, middle)).isEqualTo(even);
      assertThat(encode(dtype, Math.nextUp(middle))).isEqualTo(pattern + 1);
      assertThat(encode(dtype, Math.nextDown(middle))).isEqualTo(pattern);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "BF16, 1.0, 3f80",
    "F16, 65504, 7bff",
    "F16, 65520, 7c00",
    "F16, 5.9604645e-8, 0001",
    "F8_E4M3, 448, 7e",
    "F8_E4M3, 1000, 7f",
    "F8_E4M3, -0.015625, 88",
    "F8_E5M2, 57344, 7b",
    "F8_E5M2, 1e9, 7c",
    "F16, -Infinity, fc00",
    "F16, -0.0, 8000"
  })
  void shouldEncodeKnownValues(DType dtype, float value, String pattern) {
    assertThat(encode(dtype, value)).isEqualTo(Integer.parseInt(pattern, 16));
  }

  @Test
  void shouldDecodeKnownValues() {
    assertThat(decode(DType.F16, 0x3555)).isEqualTo(0.33325195f);
    assertThat(decode(DType.F8_E4M3, 0x01)).isEqualTo(0.001953125f);
    assertThat(decode(DType.F8_E4M3, 0xff)).isNaN();
    assertThat(decode(DType.F8_E5M2, 0xfc)).isEqualTo(Float.NEGATIVE_INFINITY);
  }
}
