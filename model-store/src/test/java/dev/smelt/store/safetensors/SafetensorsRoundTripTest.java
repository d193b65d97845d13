package dev.smelt.store.safetensors;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SafetensorsRoundTripTest {

  @TempDir Path folder;

  @Test
  void shouldReadBackWhatWasWritten() {
    Path file = folder.resolve("a.safetensors");
    float[] values = {1.5f, -2f, 0f, 3.25f, 1e-3f, 65504f};
    SafetensorsWriter.write(
        file,
        Map.of("format", "pt"),
        List.of(
            Tensor.floats("f32", DType.F32, List.of(2L, 3L), values),
            Tensor.floats("bf16", DType.BF16, List.of(6L), values),
            Tensor.floats("scalar", DType.F16, List.of(), new float[] {0.5f}),
            Tensor.floats("empty", DType.F16, List.of(0L, 7L), new float[0]),
            Tensor.ints("ints", List.of(3L), new int[] {-1, 0, Integer.MAX_VALUE}),
            Tensor.longs("longs", List.of(2L), new long[] {Long.MIN_VALUE, 5}),
            Tensor.doubles("doubles", List.of(1L), new double[] {Math.PI})));

    try (SafetensorsFile opened = SafetensorsFile.open(file)) {
      assertThat(opened.metadata()).containsExactly(Map.entry("format", "pt"));
      assertThat(opened.tensors().keySet())
          .containsExactly("f32", "bf16", "scalar", "empty", "ints", "longs", "doubles");
      assertThat(opened.tensor("f32").shape()).containsExactly(2L, 3L);
      assertThat(opened.floats("f32")).containsExactly(values);
      assertThat(opened.floats("bf16")).startsWith(1.5f, -2f, 0f, 3.25f);
      assertThat(opened.floats("scalar")).containsExactly(0.5f);
      assertThat(opened.floats("empty")).isEmpty();
      assertThat(opened.ints("ints")).containsExactly(-1, 0, Integer.MAX_VALUE);
      assertThat(opened.longs("longs")).containsExactly(Long.MIN_VALUE, 5);
      assertThat(opened.doubles("doubles")).containsExactly(Math.PI);
      float[] part = new float[4];
      opened.floats("f32", 2, part, 1, 3);
      assertThat(part).containsExactly(0f, 0f, 3.25f, 1e-3f);
    }
  }

  @Test
  void shouldRewriteByteIdentically() throws Exception {
    Path file = folder.resolve("a.safetensors");
    byte[] header =
        ("{ \"b\":{\"shape\":[2],\"dtype\":\"U8\",\"data_offsets\":[0,2]},"
                + "\"__metadata__\":{\"x\":\"y\"},"
                + "\"a\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[2,4]}}  ")
            .getBytes("UTF-8");
    ByteBuffer bytes = ByteBuffer.allocate(8 + header.length + 4).order(ByteOrder.LITTLE_ENDIAN);
    bytes.putLong(header.length).put(header).put(new byte[] {1, 2, (byte) 0x80, 0x3f});
    Files.write(file, bytes.array());

    Path copy = folder.resolve("b.safetensors");
    try (SafetensorsFile opened = SafetensorsFile.open(file)) {
      SafetensorsWriter.rewrite(
          opened,
          Map.of("a", Tensor.floats("a", DType.BF16, List.of(1L), opened.floats("a"))),
          copy);
    }
    assertThat(copy).hasSameBinaryContentAs(file);
  }

  @Test
  void shouldRefuseATensorThatProducesTooFewBytesAndLeaveNothing() {
    Path file = folder.resolve("a.safetensors");
    Tensor lying = new Tensor("liar", DType.F32, List.of(4L), channel -> {});
    assertThatThrownBy(() -> SafetensorsWriter.write(file, Map.of(), List.of(lying)))
        .isInstanceOf(SafetensorsException.class)
        .hasMessageContaining("a.safetensors: liar: produced 0 bytes, its shape takes 16");
    assertThat(folder).isEmptyDirectory();
  }
}
