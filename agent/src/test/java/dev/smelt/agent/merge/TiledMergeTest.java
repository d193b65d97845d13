package dev.smelt.agent.merge;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.smelt.agent.merge.TiledMerge.Part;
import dev.smelt.agent.merge.TiledMerge.Reordered;
import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.Floats;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TiledMergeTest {

  private final Random random = new Random(2);

  /** Shapes that fill neither a vector nor a tile nor the rows that are moved at once. */
  @ParameterizedTest
  @CsvSource({
    "NOTHING, 1, 3",
    "NOTHING, 7, 4099",
    "ROWS, 9, 1",
    "ROWS, 70, 129",
    "COLUMNS, 1, 301",
    "COLUMNS, 3, 1",
    "COLUMNS, 70, 130",
    "COLUMNS, 64, 128"
  })
  void shouldStoreInBfloat16WhatTheSumIsIn32Bits(Reordered reordered, int rows, int cols) {
    int neurons = reordered == Reordered.ROWS ? rows : cols;
    List<Part> parts =
        List.of(
            new Part(stored(rows * cols), 0.5f, null),
            new Part(stored(rows * cols), 0.3f, order(reordered, neurons)),
            new Part(stored(rows * cols), 0.1f, order(reordered, neurons)));
    TiledMerge merge = new TiledMerge(DType.BF16, rows, cols, reordered, parts, 1.1f);
    ByteBuffer rounded = ByteBuffer.allocate(2 * rows * cols).order(ByteOrder.LITTLE_ENDIAN);
    Floats.encode(merge.floats(), 0, rows * cols, DType.BF16, rounded);

    assertThat(merge.bytes()).isEqualTo(rounded.array());
  }

  @Test
  void shouldTakeRowsAndColumnsByTheirPermutation() {
    ByteBuffer stored = stored(12);
    float[] values = new float[12];
    Floats.decode(stored.duplicate().order(ByteOrder.LITTLE_ENDIAN), DType.BF16, values, 0, 12);

    assertThat(sum(Reordered.ROWS, stored, 2, 0, 1))
        .containsExactly(
            values[8],
            values[9],
            values[10],
            values[11],
            values[0],
            values[1],
            values[2],
            values[3],
            values[4],
            values[5],
            values[6],
            values[7]);
    assertThat(sum(Reordered.COLUMNS, stored, 1, 3, 2, 0))
        .containsExactly(
            values[1],
            values[3],
            values[2],
            values[0],
            values[5],
            values[7],
            values[6],
            values[4],
            values[9],
            values[11],
            values[10],
            values[8]);
  }

  @ParameterizedTest
  @CsvSource({"NOTHING, 0", "ROWS, 511", "COLUMNS, 300", "COLUMNS, 511"})
  void shouldRefuseASumThatIsNotFinite(Reordered reordered, int damaged) {
    ByteBuffer stored = stored(512);
    stored.putShort(2 * damaged, (short) 0x7fc0);
    TiledMerge merge =
        new TiledMerge(
            DType.BF16,
            16,
            32,
            reordered,
            List.of(new Part(stored, 1, order(reordered, reordered == Reordered.ROWS ? 16 : 32))),
            1);

    assertThatThrownBy(merge::bytes).isInstanceOf(TiledMerge.NotFinite.class);
  }

  private static float[] sum(Reordered reordered, ByteBuffer stored, int... permutation) {
    TiledMerge merge =
        new TiledMerge(DType.BF16, 3, 4, reordered, List.of(new Part(stored, 1, permutation)), 1);
    float[] values = new float[12];
    Floats.decode(
        ByteBuffer.wrap(merge.bytes()).order(ByteOrder.LITTLE_ENDIAN), DType.BF16, values, 0, 12);
    assertThat(merge.floats()).isEqualTo(values);
    return values;
  }

  private int @Nullable [] order(Reordered reordered, int neurons) {
    if (reordered == Reordered.NOTHING) {
      return null;
    }
    List<Integer> order = new ArrayList<>(IntStream.range(0, neurons).boxed().toList());
    Collections.shuffle(order, random);
    return order.stream().mapToInt(Integer::intValue).toArray();
  }

  private ByteBuffer stored(int count) {
    ByteBuffer bytes = ByteBuffer.allocateDirect(2 * count).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < count; i++) {
      bytes.putShort(2 * i, (short) (Float.floatToIntBits((float) random.nextGaussian()) >>> 16));
    }
    return bytes;
  }
}
