package dev.smelt.agent.merge;

import static org.assertj.core.api.Assertions.assertThat;

import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.Floats;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Random;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;

class Bfloat16Test {

  /** No multiple of any vector's length. */
  private static final int COUNT = 1003;

  private static final List<Bfloat16> BOTH =
      List.of(new Bfloat16.PlainBfloat16(), new VectorBfloat16());

  private final Random random = new Random(5);

  @Test
  void shouldUseVectorInstructionsWhereTheJvmHasThem() {
    assertThat(Bfloat16.FASTEST).isInstanceOf(VectorBfloat16.class);
  }

  @Test
  void shouldWidenAndSum() {
    short[] stored = new short[COUNT];
    float[] widened = new float[COUNT];
    ByteBuffer bytes = ByteBuffer.allocate(2 * COUNT).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < COUNT; i++) {
      stored[i] = (short) (Float.floatToIntBits((float) random.nextGaussian()) >>> 16);
      bytes.putShort(stored[i]);
    }
    Floats.decode(bytes.flip(), DType.BF16, widened, 0, COUNT);

    for (Bfloat16 loops : BOTH) {
      float[] sums = new float[COUNT];
      loops.accumulate(stored, COUNT, 0.3f, sums);
      loops.accumulate(stored, COUNT, 0.7f, sums);
      assertThat(sums).containsExactly(widened, Offset.offset(1e-6f));
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
    expected.flip();

    for (Bfloat16 loops : BOTH) {
      short[] rounded = new short[COUNT];
      loops.encode(values, COUNT, rounded);
      for (int i = 0; i < COUNT; i++) {
        assertThat(rounded[i]).isEqualTo(expected.getShort(2 * i));
      }
    }
  }
}
