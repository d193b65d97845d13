package dev.smelt.agent.inference;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.SafetensorsWriter;
import dev.smelt.store.safetensors.Tensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;
import java.util.stream.LongStream;

/** A random Mixtral checkpoint, small enough for a test to write, that can be changed before. */
public final class TinyCheckpoint {

  public static final int HIDDEN = 16;
  public static final int WIDTH = 24;
  public static final int LAYERS = 2;
  public static final int HEADS = 4;
  public static final int KV_HEADS = 2;
  public static final int EXPERTS = 6;

  private final ObjectNode config = new ObjectMapper().createObjectNode();
  private final Map<String, Tensor> tensors = new LinkedHashMap<>();
  private final Random random;

  public TinyCheckpoint(long seed) {
    random = new Random(seed);
    config
        .put("model_type", "mixtral")
        .put("hidden_act", "silu")
        .put("hidden_size", HIDDEN)
        .put("intermediate_size", WIDTH)
        .put("num_hidden_layers", LAYERS)
        .put("num_attention_heads", HEADS)
        .put("num_key_value_heads", KV_HEADS)
        .put("num_local_experts", EXPERTS)
        .put("num_experts_per_tok", 2)
        .put("vocab_size", 256)
        .put("max_position_embeddings", 300)
        .put("rms_norm_eps", 1e-5)
        .put("rope_theta", 10000.0)
        .put("tie_word_embeddings", false);
    int head = HIDDEN / HEADS;
    random("model.embed_tokens.weight", 256, HIDDEN);
    random("lm_head.weight", 256, HIDDEN);
    random("model.norm.weight", HIDDEN);
    for (int layer = 0; layer < LAYERS; layer++) {
      String prefix = "model.layers." + layer + ".";
      random(prefix + "input_layernorm.weight", HIDDEN);
      random(prefix + "post_attention_layernorm.weight", HIDDEN);
      random(prefix + "self_attn.q_proj.weight", HEADS * head, HIDDEN);
      random(prefix + "self_attn.k_proj.weight", KV_HEADS * head, HIDDEN);
      random(prefix + "self_attn.v_proj.weight", KV_HEADS * head, HIDDEN);
      random(prefix + "self_attn.o_proj.weight", HIDDEN, HEADS * head);
      random(block(layer) + ".gate.weight", EXPERTS, HIDDEN);
      for (int expert = 0; expert < EXPERTS; expert++) {
        random(expert(layer, expert, "w1"), WIDTH, HIDDEN);
        random(expert(layer, expert, "w3"), WIDTH, HIDDEN);
        random(expert(layer, expert, "w2"), HIDDEN, WIDTH);
      }
    }
  }

  public static String block(int layer) {
    return "model.layers." + layer + ".block_sparse_moe";
  }

  public static String expert(int layer, int expert, String matrix) {
    return block(layer) + ".experts." + expert + "." + matrix + ".weight";
  }

  public TinyCheckpoint configured(Consumer<ObjectNode> change) {
    change.accept(config);
    return this;
  }

  /** Marks the folder as compact and drops the original experts. */
  public TinyCheckpoint compact() {
    config.putObject("smelt").put("format", "compact").put("version", 1);
    tensors.keySet().removeIf(name -> name.matches(".*\\.experts\\.\\d+\\.w.\\.weight"));
    return this;
  }

  public TinyCheckpoint without(String name) {
    tensors.remove(name);
    return this;
  }

  public TinyCheckpoint put(String name, float[] values, long... shape) {
    tensors.put(name, Tensor.floats(name, DType.F32, boxed(shape), values));
    return this;
  }

  public TinyCheckpoint put(String name, int... values) {
    tensors.put(name, Tensor.ints(name, List.of((long) values.length), values));
    return this;
  }

  /** Puts a tensor of random values and returns them. */
  public float[] random(String name, long... shape) {
    int elements = 1;
    for (long size : shape) {
      elements *= (int) size;
    }
    float[] values = new float[elements];
    float scale = shape.length == 1 ? 1f : (float) (1.5 / Math.sqrt(shape[shape.length - 1]));
    for (int i = 0; i < elements; i++) {
      values[i] = (float) random.nextGaussian() * scale;
    }
    put(name, values, shape);
    return values;
  }

  public Path write(Path folder) {
    try {
      Files.createDirectories(folder);
      Files.writeString(folder.resolve("config.json"), config.toString());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    SafetensorsWriter.write(
        folder.resolve("model.safetensors"), Map.of(), List.copyOf(tensors.values()));
    return folder;
  }

  private static List<Long> boxed(long[] shape) {
    return LongStream.of(shape).boxed().toList();
  }
}
