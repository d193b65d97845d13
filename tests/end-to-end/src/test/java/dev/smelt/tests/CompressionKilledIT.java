package dev.smelt.tests;

import static org.assertj.core.api.Assertions.assertThat;

import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.SafetensorsFile;
import dev.smelt.store.safetensors.SafetensorsWriter;
import dev.smelt.store.safetensors.Tensor;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is left of a compression whose process is killed, and that the same command goes on. */
class CompressionKilledIT {

  private static final int LAYERS = 12;
  private static final int EXPERTS = 8;
  private static final int TOP_K = 2;
  private static final int HIDDEN = 128;
  private static final int WIDTH = 512;

  /** 42, which no merged weight is. */
  private static final short MARK = 0x4228;

  @TempDir private Path folder;

  private final Random random = new Random(4);

  @Test
  void shouldKeepFinishedLayersWhenItIsKilledAndStartedAgain() throws Exception {
    // Given
    writeCheckpoint();
    writeTrace();
    Path partial = folder.resolve("resumed.partial");
    Path first = partial.resolve(block(0) + ".safetensors");
    try (JavaProcess compressing = compress("resumed")) {
      Awaitility.await()
          .pollInSameThread()
          .pollDelay(Duration.ZERO)
          .pollInterval(Duration.ofMillis(2))
          .atMost(Duration.ofSeconds(90))
          .until(() -> Files.exists(first));
      compressing.kill();
    }
    assertThat(folder.resolve("resumed")).doesNotExist();
    assertThat(finished(partial)).isBetween(1L, LAYERS - 1L);
    String marked = markLastTensor(first);

    // When
    try (JavaProcess again = compress("resumed");
        JavaProcess never = compress("whole")) {
      assertThat(again.awaitEnd()).isZero();
      assertThat(never.awaitEnd()).isZero();
    }

    // Then
    assertThat(partial).doesNotExist();
    try (Checkpoint resumed = Checkpoint.open(folder.resolve("resumed"));
        Checkpoint whole = Checkpoint.open(folder.resolve("whole"))) {
      assertThat(resumed.tensors().keySet()).isEqualTo(whole.tensors().keySet());
      for (String tensor : whole.tensors().keySet()) {
        ByteBuffer kept = bytes(resumed, tensor);
        if (tensor.equals(marked)) {
          assertThat(kept.getShort(kept.limit() - 2)).isEqualTo(MARK);
        } else {
          assertThat(kept).as(tensor).isEqualTo(bytes(whole, tensor));
        }
      }
    }
  }

  private JavaProcess compress(String output) throws IOException {
    return JavaProcess.start(
        folder.resolve(output + ".log"),
        "dev.smelt.ops.Smelt",
        "compress",
        "--checkpoint",
        folder.resolve("model").toString(),
        "--routing",
        folder.resolve("traffic.routing.safetensors").toString(),
        "--similarity",
        "router-weight",
        "--average-groups",
        "4",
        "-o",
        folder.resolve(output).toString());
  }

  private static ByteBuffer bytes(Checkpoint checkpoint, String tensor) {
    int length = (int) checkpoint.tensors().get(tensor).bytes();
    return checkpoint.bytes(tensor, 0, length).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static long finished(Path partial) throws IOException {
    try (Stream<Path> files = Files.list(partial)) {
      return files.filter(file -> file.toString().endsWith(".safetensors")).count();
    }
  }

  /** Only a layer that is kept has the mark in the output. */
  private static String markLastTensor(Path layer) throws IOException {
    String last;
    try (SafetensorsFile file = SafetensorsFile.open(layer)) {
      last =
          file.tensors().keySet().stream()
              .max((a, b) -> Long.compare(file.tensor(a).end(), file.tensor(b).end()))
              .orElseThrow();
      assertThat(file.tensor(last).dtype()).isEqualTo(DType.BF16);
    }
    try (FileChannel channel = FileChannel.open(layer, StandardOpenOption.WRITE)) {
      channel.write(
          ByteBuffer.allocate(2).order(ByteOrder.LITTLE_ENDIAN).putShort(MARK).flip(),
          channel.size() - 2);
    }
    return last;
  }

  private static String block(int layer) {
    return "model.layers." + layer + ".mlp";
  }

  private void writeCheckpoint() throws IOException {
    Path model = Files.createDirectory(folder.resolve("model"));
    Files.writeString(
        model.resolve("config.json"),
        """
        {"model_type": "olmoe", "num_experts": %d, "num_experts_per_tok": %d, "hidden_size": %d,
         "intermediate_size": %d, "num_hidden_layers": %d}
        """
            .formatted(EXPERTS, TOP_K, HIDDEN, WIDTH, LAYERS));
    List<Tensor> tensors = new ArrayList<>();
    for (int layer = 0; layer < LAYERS; layer++) {
      tensors.add(weights(block(layer) + ".gate.weight", EXPERTS, HIDDEN));
      for (int expert = 0; expert < EXPERTS; expert++) {
        String prefix = block(layer) + ".experts." + expert;
        tensors.add(weights(prefix + ".gate_proj.weight", WIDTH, HIDDEN));
        tensors.add(weights(prefix + ".up_proj.weight", WIDTH, HIDDEN));
        tensors.add(weights(prefix + ".down_proj.weight", HIDDEN, WIDTH));
      }
    }
    SafetensorsWriter.write(model.resolve("model.safetensors"), Map.of(), tensors);
  }

  private Tensor weights(String name, long rows, long cols) {
    float[] values = new float[(int) (rows * cols)];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian() * 0.02f;
    }
    return Tensor.floats(name, DType.BF16, List.of(rows, cols), values);
  }

  private void writeTrace() {
    List<Tensor> tensors = new ArrayList<>();
    int tokens = 500;
    for (int layer = 0; layer < LAYERS; layer++) {
      int[] chosen = new int[tokens * TOP_K];
      for (int token = 0; token < tokens; token++) {
        int expert = random.nextInt(EXPERTS);
        chosen[TOP_K * token] = expert;
        chosen[TOP_K * token + 1] = (expert + 1 + random.nextInt(EXPERTS - 1)) % EXPERTS;
      }
      tensors.add(
          Tensor.ints(
              block(layer) + ".selected_experts", List.of((long) tokens, (long) TOP_K), chosen));
    }
    SafetensorsWriter.write(folder.resolve("traffic.routing.safetensors"), Map.of(), tensors);
  }
}
