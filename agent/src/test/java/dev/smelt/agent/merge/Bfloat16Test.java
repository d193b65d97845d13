package dev.smelt.agent.merge;

import static org.assertj.core.api.Assertions.assertThat;

import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.Floats;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class Bfloat16Test {

  /** No multiple of any vector's length. */
  private static final int COUNT = 1003;

  private static final List<Bfloat16> BOTH = List.of(new Bfloat16(), new VectorBfloat16());

  private final Random random = new Random(5);

  @Test
  void shouldUseVectorInstructionsWhereTheJvmHasThem() {
    assertThat(Bfloat16.FASTEST).isInstanceOf(VectorBfloat16.class);
  }

  @Test
  void shouldSumToTheSameBitsWithAndWithoutVectors() {
    ByteBuffer first = stored(COUNT);
    ByteBuffer second = stored(COUNT + 7);
    float[] a = widened(first, 0);
    float[] b = widened(second, 7);
    float[] sums = new float[COUNT];
    for (int i = 0; i < COUNT; i++) {
      sums[i] = (0.3f * a[i] + 0.7f * b[i]) * 1.5f;
    }
    ByteBuffer expected = ByteBuffer.allocate(2 * COUNT).order(ByteOrder.LITTLE_ENDIAN);
    Floats.encode(sums, 0, COUNT, DType.BF16, expected);
    Bfloat16.Parts parts =
        new Bfloat16.Parts(
            new ByteBuffer[] {first, second}, new int[] {0, 14}, new float[] {0.3f, 0.7f});

    for (Bfloat16 loops : BOTH) {
      byte[] into = new byte[2 * COUNT + 6];
      assertThat(loops.sum(parts, 1.5f, 0, COUNT, into, 6)).isZero();
      assertThat(into).endsWith(expected.array());
    }
  }

  @Test
  void shouldRoundAsTheStoreDoes() {
    float[] values = new float[COUNT];
    for (int i = 0; i < COUNT; i++) {
      values[i] = Float.intBitsToFloat(random.nextInt() & 0xbfff_ffff);
    }
    values[0] = -0f;
    values[1] = Float.intBitsToFloat(0x3f80_8000);
    values[2] = Float.intBitsToFloat(0x3f81_8000);
    ByteBuffer expected = ByteBuffer.allocate(2 * COUNT).order(ByteOrder.LITTLE_ENDIAN);
    Floats.encode(values, 0, COUNT, DType.BF16, expected);

    for (int i = 0; i < COUNT; i++) {
      assertThat(Bfloat16.rounded(values[i])).isEqualTo(expected.getShort(2 * i));
    }
  }

  @Test
  void shouldKeepTheSignOfALonePartsZeros() {
    ByteBuffer zeros = ByteBuffer.allocateDirect(2 * COUNT).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < COUNT; i++) {
      zeros.putShort(2 * i, Short.MIN_VALUE);
    }

    for (Bfloat16 loops : BOTH) {
      byte[] into = new byte[2 * COUNT];
      assertThat(loops.sum(alone(zeros), 1, 0, COUNT, into, 0)).isZero();
      assertThat(ByteBuffer.wrap(into)).isEqualTo(zeros);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 500, COUNT - 1})
  void shouldSayThatASumIsNotFinite(int damaged) {
    ByteBuffer stored = stored(COUNT);
    stored.putShort(2 * damaged, (short) 0x7f80);

    for (Bfloat16 loops : BOTH) {
      assertThat(loops.sum(alone(stored), 1, 0, COUNT, new byte[2 * COUNT], 0)).isNaN();
    }
  }

  @Test
  void shouldInterleaveRowsAndSeparateThemAgain() {
    ByteBuffer rows = stored(4 * COUNT);
    int[] at = {6 * COUNT, 0, 4 * COUNT, 2 * COUNT};

    for (Bfloat16 loops : BOTH) {
      long[] columns = new long[Bfloat16.interleavedLength(COUNT)];
      loops.interleave(rows, at, 0, COUNT, columns);
      for (int col = 0; col < COUNT; col++) {
        long column = columns[Bfloat16.interleaved(col, COUNT)];
        for (int row = 0; row < 4; row++) {
          assertThat((short) (column >>> 16 * row)).isEqualTo(rows.getShort(at[row] + 2 * col));
        }
      }
      byte[] into = new byte[8 * COUNT];
      loops.separate(columns, at, 0, COUNT, into);
      assertThat(ByteBuffer.wrap(into)).isEqualTo(rows);
    }
  }

  @Test
  void shouldSumInterleavedRowsAsOthers() {
    ByteBuffer[] stored = {stored(4 * COUNT), stored(4 * COUNT)};
    float[] weights = {0.25f, 0.5f};
    int[] at = {0, 2 * COUNT, 4 * COUNT, 6 * COUNT};
    int length = Bfloat16.interleavedLength(COUNT);

    for (Bfloat16 loops : BOTH) {
      byte[] expected = new byte[8 * COUNT];
      loops.sum(new Bfloat16.Parts(stored, new int[2], weights), 2, 0, 4 * COUNT, expected, 0);
      long[][] parts = new long[2][length];
      for (int part = 0; part < 2; part++) {
        loops.interleave(stored[part], at, 0, COUNT, parts[part]);
      }
      long[] sums = new long[length];
      assertThat(loops.sumInterleaved(parts, weights, 2, sums)).isZero();
      byte[] into = new byte[8 * COUNT];
      loops.separate(sums, at, 0, COUNT, into);
      assertThat(into).isEqualTo(expected);

      parts[1][Bfloat16.interleaved(COUNT - 1, COUNT)] = 0x7f80_0000_0000_0000L;
      assertThat(loops.sumInterleaved(parts, weights, 2, sums)).isNaN();
    }
  }

  private static Bfloat16.Parts alone(ByteBuffer stored) {
    return new Bfloat16.Parts(new ByteBuffer[] {stored}, new int[1], new float[] {1});
  }

  private ByteBuffer stored(int count) {
    ByteBuffer bytes = ByteBuffer.allocateDirect(2 * count).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < count; i++) {
      bytes.putShort(2 * i, (short) (Float.floatToIntBits((float) random.nextGaussian()) >>> 16));
    }
    return bytes;
  }

  private static float[] widened(ByteBuffer stored, int from) {
    float[] values = new float[COUNT];
    Floats.decode(
        stored.duplicate().order(ByteOrder.LITTLE_ENDIAN).position(2 * from),
        DType.BF16,
        values,
        0,
        COUNT);
    return values;
  }
}
