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

  /** Every {@code model_type} that is known. */
  public static List<String> modelTypes() {
    return Architecture.KNOWN.stream()
        .flatMap(architecture -> architecture.modelTypes().stream())
        .sorted()
        .toList();
  }

  /** A checkpoint of a given {@code model_type} with two sparse layers. */
  public static Path of(String modelType, Path folder) {
    Weights weights = new Weights();
    weights.add("model.embed_tokens.weight", 11, HIDDEN);
    String sizes =
        switch (modelType) {
          case "mixtral", "phimoe" -> {
            for (int layer : new int[] {0, 1}) {
              String block = layer(layer) + "block_sparse_moe.";
              weights.add(block + "gate.weight", EXPERTS, HIDDEN);
              projections(weights, block + "experts.", ".w1", ".w3", ".w2");
            }
            yield "\"num_local_experts\": 4, \"num_experts_per_tok\": 2";
          }
          case "switch_transformers" -> {
            for (String stack : List.of("decoder.block.1.layer.2", "encoder.block.1.layer.1")) {
              weights.add(stack + ".mlp.router.classifier.weight", EXPERTS, HIDDEN);
              for (int e = 0; e < EXPERTS; e++) {
                String expert = stack + ".mlp.experts.expert_" + e;
                weights.add(expert + ".wi.weight", WIDTH, HIDDEN);
                weights.add(expert + ".wo.weight", HIDDEN, WIDTH);
              }
            }
            yield "\"num_experts\": 4, \"d_ff\": 5";
          }
          case "qwen2_moe", "qwen3_moe", "olmoe", "deepseek_v2", "deepseek_v3" -> {
            boolean deepSeek = modelType.startsWith("deepseek");
            weights.add(layer(0) + "mlp.gate_proj.weight", WIDTH, HIDDEN);
            for (int layer : new int[] {2, 10}) {
              String block = layer(layer) + "mlp.";
              weights.add(block + "gate.weight", EXPERTS, HIDDEN);
              if (modelType.equals("deepseek_v3")) {
                weights.add(block + "gate.e_score_correction_bias", EXPERTS);
              }
              String shared = deepSeek ? "shared_experts" : "shared_expert";
              weights.add(block + shared + ".gate_proj.weight", WIDTH, HIDDEN);
              if (modelType.equals("qwen2_moe")) {
                weights.add(block + "shared_expert_gate.weight", 1, HIDDEN);
              }
              projections(weights, block + "experts.", ".gate_proj", ".up_proj", ".down_proj");
            }
            yield (deepSeek ? "\"n_routed_experts\"" : "\"num_experts\"")
                + ": 4, \"num_experts_per_tok\": 2, \"norm_topk_prob\": true";
          }
          case "gpt_oss" -> {
            for (int layer : new int[] {0, 1}) {
              String block = layer(layer) + "mlp.";
              weights.add(block + "router.weight", EXPERTS, HIDDEN);
              weights.add(block + "router.bias", EXPERTS);
              weights.add(block + "experts.gate_up_proj", EXPERTS, HIDDEN, 2 * WIDTH);
              weights.add(block + "experts.gate_up_proj_bias", EXPERTS, 2 * WIDTH);
              weights.add(block + "experts.down_proj", EXPERTS, WIDTH, HIDDEN);
              weights.add(block + "experts.down_proj_bias", EXPERTS, HIDDEN);
            }
            yield "\"num_local_experts\": 4, \"num_experts_per_tok\": 2";
          }
          case "granitemoe", "granitemoeshared", "granitemoehybrid" -> {
            for (int layer : new int[] {0, 1}) {
              String block = layer(layer) + "block_sparse_moe.";
              weights.add(block + "router.layer.weight", EXPERTS, HIDDEN);
              weights.add(block + "input_linear.weight", EXPERTS, 2 * WIDTH, HIDDEN);
              weights.add(block + "output_linear.weight", EXPERTS, HIDDEN, WIDTH);
            }
            yield "\"num_local_experts\": 4, \"num_experts_per_tok\": 2";
          }
          case "llama4", "llama4_text" -> {
            for (int layer : new int[] {1, 3}) {
              String block = "language_model." + layer(layer) + "feed_forward.";
              weights.add(block + "router.weight", EXPERTS, HIDDEN);
              weights.add(block + "experts.gate_up_proj", EXPERTS, HIDDEN, 2 * WIDTH);
              weights.add(block + "experts.down_proj", EXPERTS, WIDTH, HIDDEN);
              weights.add(block + "shared_expert.up_proj.weight", WIDTH, HIDDEN);
            }
            yield "\"text_config\": {\"num_local_experts\": 4, \"num_experts_per_tok\": 1}";
          }
          default -> throw new IllegalArgumentException(modelType + ": add a checkpoint for it");
        };
    return write(folder, "{\"model_type\": \"" + modelType + "\", " + sizes + "}", weights.tensors);
  }

  private static String layer(int number) {
    return "model.layers." + number + ".";
  }

  private static void projections(
      Weights weights, String experts, String gate, String up, String down) {
    for (int e = 0; e < EXPERTS; e++) {
      weights.add(experts + e + gate + ".weight", WIDTH, HIDDEN);
      weights.add(experts + e + up + ".weight", WIDTH, HIDDEN);
      weights.add(experts + e + down + ".weight", HIDDEN, WIDTH);
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
