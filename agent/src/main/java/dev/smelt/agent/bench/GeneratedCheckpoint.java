package dev.smelt.agent.bench;

import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.SafetensorsWriter;
import dev.smelt.store.safetensors.Tensor;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;

/**
 * An OLMoE checkpoint of random bf16 experts, a shard for each layer, without anything but routers
 * and experts.
 *
 * @param layers number of sparse layers
 * @param experts of each layer
 * @param hidden model width
 * @param width of each expert
 */
record GeneratedCheckpoint(int layers, int experts, int hidden, int width) {

  static final int TOP_K = 8;
  private static final int POOL = 1 << 24;

  /** Bytes of one layer's experts. */
  long layerBytes() {
    return 3L * experts * hidden * width * DType.BF16.bytes();
  }

  /** Writes the checkpoint into an empty folder. */
  void write(Path folder) throws IOException {
    Files.writeString(
        folder.resolve("config.json"),
        """
        {"model_type": "olmoe", "num_experts": %d, "num_experts_per_tok": %d, "hidden_size": %d,
         "intermediate_size": %d, "num_hidden_layers": %d}
        """
            .formatted(experts, TOP_K, hidden, width, layers));
    ByteBuffer pool = pool();
    Random random = new Random(layers);
    StringBuilder index = new StringBuilder();
    for (int layer = 0; layer < layers; layer++) {
      String shard = String.format(Locale.ROOT, "model-%05d.safetensors", layer);
      List<Tensor> tensors = new ArrayList<>();
      String block = "model.layers." + layer + ".mlp.";
      tensors.add(tensor(block + "gate.weight", experts, hidden, pool, random));
      for (int expert = 0; expert < experts; expert++) {
        String prefix = block + "experts." + expert;
        tensors.add(tensor(prefix + ".gate_proj.weight", width, hidden, pool, random));
        tensors.add(tensor(prefix + ".up_proj.weight", width, hidden, pool, random));
        tensors.add(tensor(prefix + ".down_proj.weight", hidden, width, pool, random));
      }
      SafetensorsWriter.write(folder.resolve(shard), Map.of(), tensors);
      for (Tensor tensor : tensors) {
        index
            .append(index.length() == 0 ? "" : ",")
            .append("\"%s\":\"%s\"".formatted(tensor.name(), shard));
      }
    }
    Files.writeString(
        folder.resolve("model.safetensors.index.json"),
        "{\"metadata\":{},\"weight_map\":{%s}}".formatted(index));
  }

  /** Drawing each number anew would take longer than all that is measured. */
  private static ByteBuffer pool() {
    Random random = new Random(7);
    ByteBuffer pool = ByteBuffer.allocateDirect(POOL).order(ByteOrder.LITTLE_ENDIAN);
    while (pool.hasRemaining()) {
      pool.putShort((short) (Float.floatToIntBits((float) random.nextGaussian() * 0.02f) >>> 16));
    }
    return pool.flip();
  }

  private static Tensor tensor(String name, int rows, int cols, ByteBuffer pool, Random random) {
    int first = 2 * random.nextInt(POOL / 4);
    long bytes = (long) rows * cols * DType.BF16.bytes();
    return new Tensor(
        name,
        DType.BF16,
        List.of((long) rows, (long) cols),
        channel -> {
          int at = first;
          for (long left = bytes; left > 0; ) {
            ByteBuffer part = pool.duplicate().position(at);
            part.limit((int) Math.min(part.limit(), at + left));
            left -= part.remaining();
            while (part.hasRemaining()) {
              channel.write(part);
            }
            at = 0;
          }
        });
  }
}
