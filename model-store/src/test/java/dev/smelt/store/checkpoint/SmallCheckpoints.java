package dev.smelt.store.checkpoint;

import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.SafetensorsWriter;
import dev.smelt.store.safetensors.Tensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;

/** Generates small checkpoints with random weights, one for each layout. */
public final class SmallCheckpoints {

  public static final int EXPERTS = 4;
  public static final int HIDDEN = 6;
  public static final int WIDTH = 5;

  private SmallCheckpoints() {}

  private static final class Weights {
    private final Random random = new Random(7);
    private final List<Tensor> tensors = new ArrayList<>();

    void add(String name, long... shape) {
      int elements = 1;
      List<Long> sizes = new ArrayList<>();
      for (long size : shape) {
        elements *= (int) size;
        sizes.add(size);
      }
      float[] values = new float[elements];
      for (int i = 0; i < elements; i++) {
        values[i] = (float) random.nextGaussian();
      }
      tensors.add(Tensor.floats(name, DType.BF16, sizes, values));
    }
  }

  /** A Mixtral checkpoint of two layers. */
  public static Path mixtral(Path folder) {
    return write(folder, mixtralConfig(), mixtralTensors());
  }

  private static String mixtralConfig() {
    return """
        {"model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2,
         "hidden_size": 6, "intermediate_size": 5, "num_hidden_layers": 2}
        """;
  }

  private static List<Tensor> mixtralTensors() {
    Weights weights = new Weights();
    weights.add("model.embed_tokens.weight", 11, HIDDEN);
    for (int layer = 0; layer < 2; layer++) {
      String block = "model.layers." + layer + ".block_sparse_moe.";
      weights.add(block + "gate.weight", EXPERTS, HIDDEN);
      for (int e = 0; e < EXPERTS; e++) {
        weights.add(block + "experts." + e + ".w1.weight", WIDTH, HIDDEN);
        weights.add(block + "experts." + e + ".w2.weight", HIDDEN, WIDTH);
        weights.add(block + "experts." + e + ".w3.weight", WIDTH, HIDDEN);
      }
    }
    return weights.tensors;
  }

  /** The same checkpoint in two shards. */
  public static Path shardedMixtral(Path folder) {
    List<Tensor> all = mixtralTensors();
    int half = all.size() / 2;
    StringBuilder map = new StringBuilder();
    for (int i = 0; i < all.size(); i++) {
      map.append(i == 0 ? "" : ",")
          .append('"')
          .append(all.get(i).name())
          .append("\":\"")
          .append(shard(i < half ? 1 : 2))
          .append('"');
    }
    try {
      Files.createDirectories(folder);
      Files.writeString(folder.resolve("config.json"), mixtralConfig());
      SafetensorsWriter.write(folder.resolve(shard(1)), Map.of(), all.subList(0, half));
      SafetensorsWriter.write(folder.resolve(shard(2)), Map.of(), all.subList(half, all.size()));
      Files.writeString(
          folder.resolve("model.safetensors.index.json"),
          "{\"metadata\":{\"total_size\":1},\"weight_map\":{" + map + "}}");
      return folder;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String shard(int number) {
    return "model-0000" + number + "-of-00002.safetensors";
  }

  private static Path write(Path folder, String config, List<Tensor> tensors) {
    try {
      Files.createDirectories(folder);
      Files.writeString(folder.resolve("config.json"), config);
      SafetensorsWriter.write(folder.resolve("model.safetensors"), Map.of("format", "pt"), tensors);
      return folder;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
