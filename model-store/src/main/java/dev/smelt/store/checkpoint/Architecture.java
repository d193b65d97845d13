package dev.smelt.store.checkpoint;

import static dev.smelt.store.checkpoint.ExpertTensor.separate;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.store.checkpoint.ExpertTensor.Orientation;
import dev.smelt.store.checkpoint.ExpertTensor.Packing;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Where an architecture keeps its routers and experts, and under which names its configuration
 * gives their numbers. Adding an architecture is adding one of these to {@link #KNOWN}.
 *
 * <p>A block is found by its router: every tensor whose name ends with {@code "." + router} stands
 * in a block of the name before that ending.
 *
 * @param name of the family
 * @param modelTypes values of {@code model_type} in config.json
 * @param router the router's weight [experts, hidden], relative to the block
 * @param routerExtras further router tensors that may be there: biases and score corrections
 * @param tensors the experts' weights
 * @param expertsKeys configuration keys of the number of experts, the first that is there counts
 * @param topKKeys configuration keys of the picks per token; none of them there means 1
 * @param scoring how router outputs become gate weights
 * @param activation between an expert's matrices
 */
public record Architecture(
    String name,
    Set<String> modelTypes,
    String router,
    List<String> routerExtras,
    List<ExpertTensor> tensors,
    List<String> expertsKeys,
    List<String> topKKeys,
    Scoring scoring,
    Activation activation) {

  /** How router outputs become gate weights. */
  public enum Scoring {
    /** Softmax over all experts, then the top k. */
    SOFTMAX_THEN_TOP_K,
    /** The top k, then softmax over those; also softmax, top k and renormalising. */
    TOP_K_THEN_SOFTMAX,
    /** A sigmoid for each expert. */
    SIGMOID
  }

  private static final List<ExpertTensor> PROJECTIONS =
      List.of(
          separate(Role.GATE, "experts.{e}.gate_proj.weight"),
          separate(Role.UP, "experts.{e}.up_proj.weight"),
          separate(Role.DOWN, "experts.{e}.down_proj.weight"));

  /** All architectures that can be read. */
  static final List<Architecture> KNOWN =
      List.of(
          new Architecture(
              "mixtral",
              Set.of("mixtral", "phimoe"),
              "gate.weight",
              List.of(),
              List.of(
                  separate(Role.GATE, "experts.{e}.w1.weight"),
                  separate(Role.UP, "experts.{e}.w3.weight"),
                  separate(Role.DOWN, "experts.{e}.w2.weight")),
              List.of("num_local_experts"),
              List.of("num_experts_per_tok"),
              Scoring.TOP_K_THEN_SOFTMAX,
              Activation.SILU),
          new Architecture(
              "switch_transformers",
              Set.of("switch_transformers"),
              "router.classifier.weight",
              List.of(),
              List.of(
                  separate(Role.UP, "experts.expert_{e}.wi.weight"),
                  separate(Role.DOWN, "experts.expert_{e}.wo.weight")),
              List.of("num_experts"),
              List.of(),
              Scoring.SOFTMAX_THEN_TOP_K,
              Activation.RELU),
          new Architecture(
              "qwen_moe",
              Set.of("qwen2_moe", "qwen3_moe", "olmoe"),
              "gate.weight",
              List.of(),
              PROJECTIONS,
              List.of("num_experts", "num_local_experts"),
              List.of("num_experts_per_tok"),
              Scoring.SOFTMAX_THEN_TOP_K,
              Activation.SILU),
          new Architecture(
              "deepseek",
              Set.of("deepseek_v2", "deepseek_v3"),
              "gate.weight",
              List.of("gate.e_score_correction_bias"),
              PROJECTIONS,
              List.of("n_routed_experts"),
              List.of("num_experts_per_tok"),
              Scoring.SIGMOID,
              Activation.SILU),
          new Architecture(
              "gpt_oss",
              Set.of("gpt_oss"),
              "router.weight",
              List.of("router.bias"),
              List.of(
                  new ExpertTensor(
                      Role.GATE, "experts.gate_up_proj", Packing.EVEN, Orientation.TRANSPOSED),
                  new ExpertTensor(
                      Role.UP, "experts.gate_up_proj", Packing.ODD, Orientation.TRANSPOSED),
                  new ExpertTensor(
                      Role.DOWN, "experts.down_proj", Packing.WHOLE, Orientation.TRANSPOSED),
                  new ExpertTensor(
                      Role.GATE_BIAS, "experts.gate_up_proj_bias", Packing.EVEN, Orientation.AS_IS),
                  new ExpertTensor(
                      Role.UP_BIAS, "experts.gate_up_proj_bias", Packing.ODD, Orientation.AS_IS),
                  new ExpertTensor(
                      Role.DOWN_BIAS, "experts.down_proj_bias", Packing.WHOLE, Orientation.AS_IS)),
              List.of("num_local_experts"),
              List.of("num_experts_per_tok", "experts_per_token"),
              Scoring.TOP_K_THEN_SOFTMAX,
              Activation.CLAMPED_SWISH),
          new Architecture(
              "granite_moe",
              Set.of("granitemoe", "granitemoeshared", "granitemoehybrid"),
              "router.layer.weight",
              List.of(),
              List.of(
                  new ExpertTensor(
                      Role.GATE, "input_linear.weight", Packing.FIRST_HALF, Orientation.AS_IS),
                  new ExpertTensor(
                      Role.UP, "input_linear.weight", Packing.SECOND_HALF, Orientation.AS_IS),
                  new ExpertTensor(
                      Role.DOWN, "output_linear.weight", Packing.WHOLE, Orientation.AS_IS)),
              List.of("num_local_experts"),
              List.of("num_experts_per_tok"),
              Scoring.TOP_K_THEN_SOFTMAX,
              Activation.SILU),
          new Architecture(
              "llama4",
              Set.of("llama4", "llama4_text"),
              "router.weight",
              List.of(),
              List.of(
                  new ExpertTensor(
                      Role.GATE,
                      "experts.gate_up_proj",
                      Packing.FIRST_HALF,
                      Orientation.TRANSPOSED),
                  new ExpertTensor(
                      Role.UP, "experts.gate_up_proj", Packing.SECOND_HALF, Orientation.TRANSPOSED),
                  new ExpertTensor(
                      Role.DOWN, "experts.down_proj", Packing.WHOLE, Orientation.TRANSPOSED)),
              List.of("num_local_experts"),
              List.of("num_experts_per_tok"),
              Scoring.SIGMOID,
              Activation.SILU));

  /** The architecture of a configuration's {@code model_type}. */
  static Optional<Architecture> of(JsonNode config) {
    String modelType = config.path("model_type").asText();
    return KNOWN.stream().filter(known -> known.modelTypes.contains(modelType)).findFirst();
  }

  /** Every known {@code model_type}, for messages. */
  static String known() {
    return KNOWN.stream()
        .flatMap(architecture -> architecture.modelTypes.stream())
        .sorted()
        .collect(Collectors.joining(", "));
  }

  /**
   * Writes another number of experts into a configuration, under every key that states it, and caps
   * the picks per token by it.
   */
  public void resize(ObjectNode config, int experts) {
    for (JsonNode level : List.of(config, config.path("text_config"))) {
      if (level instanceof ObjectNode object) {
        expertsKeys.stream().filter(object::has).forEach(key -> object.put(key, experts));
        topKKeys.stream()
            .filter(object::has)
            .forEach(key -> object.put(key, Math.min(object.path(key).asInt(), experts)));
      }
    }
  }

  Set<Role> roles() {
    return tensors.stream()
        .map(ExpertTensor::role)
        .collect(Collectors.toCollection(() -> EnumSet.noneOf(Role.class)));
  }

  Optional<ExpertTensor> tensor(Role role) {
    return tensors.stream().filter(tensor -> tensor.role() == role).findFirst();
  }
}
