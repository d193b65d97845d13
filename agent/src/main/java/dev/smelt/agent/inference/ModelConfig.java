package dev.smelt.agent.inference;

import com.fasterxml.jackson.databind.JsonNode;
import dev.smelt.store.checkpoint.CheckpointException;

/**
 * The sizes and constants of a model of the Mixtral architecture, from the {@code config.json} of
 * its checkpoint.
 *
 * @param hidden model width d
 * @param width expert width F
 * @param layers number of layers, each with attention and experts
 * @param heads query heads
 * @param kvHeads key and value heads; each serves {@code heads / kvHeads} query heads
 * @param headSize size of a head
 * @param experts router outputs of each layer
 * @param topK experts picked for each token
 * @param vocabulary number of token ids
 * @param maxPositions longest sequence
 * @param normEpsilon added to the mean square in RMSNorm
 * @param ropeTheta base of the rotary position embedding
 * @param tiedEmbeddings whether the output projection is the embedding matrix
 */
public record ModelConfig(
    int hidden,
    int width,
    int layers,
    int heads,
    int kvHeads,
    int headSize,
    int experts,
    int topK,
    int vocabulary,
    int maxPositions,
    float normEpsilon,
    double ropeTheta,
    boolean tiedEmbeddings) {

  /**
   * Reads a configuration.
   *
   * @param where the checkpoint, for messages
   * @throws CheckpointException where the model is not one that this package can run, naming the
   *     key that says so
   */
  static ModelConfig of(String where, JsonNode config) {
    Reader reader = new Reader(where, config);
    reader.require("model_type", "mixtral");
    reader.require("hidden_act", "silu");
    reader.requireNull("sliding_window");
    reader.requireNull("rope_scaling");
    int hidden = reader.positive("hidden_size");
    int heads = reader.positive("num_attention_heads");
    int kvHeads =
        config.hasNonNull("num_key_value_heads") ? reader.positive("num_key_value_heads") : heads;
    int headSize = config.hasNonNull("head_dim") ? reader.positive("head_dim") : hidden / heads;
    if (heads % kvHeads != 0) {
      throw reader.refusal("num_key_value_heads", "does not divide num_attention_heads");
    }
    if (headSize % 2 != 0) {
      throw reader.refusal("head_dim", "is odd, rotary position embedding needs pairs");
    }
    int experts = reader.positive("num_local_experts");
    int topK = reader.positive("num_experts_per_tok");
    if (topK > experts) {
      throw reader.refusal("num_experts_per_tok", "is larger than num_local_experts");
    }
    return new ModelConfig(
        hidden,
        reader.positive("intermediate_size"),
        reader.positive("num_hidden_layers"),
        heads,
        kvHeads,
        headSize,
        experts,
        topK,
        reader.positive("vocab_size"),
        reader.positive("max_position_embeddings"),
        (float) config.path("rms_norm_eps").asDouble(1e-5),
        ropeTheta(reader, config),
        config.path("tie_word_embeddings").asBoolean(false));
  }

  /** Newer configurations keep it in {@code rope_parameters}. */
  private static double ropeTheta(Reader reader, JsonNode config) {
    JsonNode parameters = config.path("rope_parameters");
    String type = parameters.path("rope_type").asText("default");
    if (!type.equals("default")) {
      throw reader.refusal(
          "rope_parameters.rope_type", "is " + type + ", only default is supported");
    }
    return config.path("rope_theta").asDouble(parameters.path("rope_theta").asDouble(1e6));
  }

  private record Reader(String where, JsonNode config) {

    int positive(String key) {
      int value = config.path(key).asInt(0);
      if (value <= 0) {
        throw refusal(key, config.has(key) ? "is not a positive number" : "is missing");
      }
      return value;
    }

    void require(String key, String supported) {
      String value = config.path(key).asText();
      if (!value.equals(supported)) {
        throw refusal(key, "is '%s', inference supports '%s' only".formatted(value, supported));
      }
    }

    void requireNull(String key) {
      if (config.hasNonNull(key)) {
        throw refusal(key, "is set, inference supports models without it only");
      }
    }

    CheckpointException refusal(String key, String problem) {
      return new CheckpointException(where + "/config.json: " + key + " " + problem);
    }
  }
}
