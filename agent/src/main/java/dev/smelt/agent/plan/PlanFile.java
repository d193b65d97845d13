package dev.smelt.agent.plan;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Function;

/**
 * The JSON form of a plan: {@code {"model","strategy","similarity","budget","averageGroups",
 * "layers":[{"block","experts","dominant":[..],"labels":[..],"frequency":[..]}]}}.
 *
 * <p>A layer also has {@code "weights"} where the merge weights are not the frequencies. A label of
 * -1 means that the router may no longer choose the expert. {@code "similarity"} is null where the
 * strategy forms no groups. {@code "maxGroup"} is there where the size of groups was bounded,
 * {@code "untouched":[{"block","reason"}]} where blocks can't be compressed and stay as they are.
 */
public final class PlanFile {

  /** Reads NaN and infinities, as Python writes them, so that a refusal can name their place. */
  private static final ObjectMapper JSON =
      JsonMapper.builder()
          .enable(SerializationFeature.INDENT_OUTPUT)
          .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
          .build();

  private PlanFile() {}

  public static JsonNode toJson(Plan plan) {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("model", plan.model());
    json.put("strategy", plan.strategy());
    json.put("similarity", plan.similarity().map(Similarity::toString).orElse(null));
    json.put("budget", plan.budget().toString());
    json.put("averageGroups", plan.averageGroups());
    plan.maxGroup().ifPresent(most -> json.put("maxGroup", most));
    ArrayNode layers = json.putArray("layers");
    for (LayerPlan layer : plan.layers()) {
      ObjectNode entry = layers.addObject();
      entry.put("block", layer.block());
      entry.put("experts", layer.experts());
      layer.dominant().forEach(entry.putArray("dominant")::add);
      layer.labels().forEach(entry.putArray("labels")::add);
      layer.frequency().forEach(entry.putArray("frequency")::add);
      if (!layer.weights().equals(layer.frequency())) {
        layer.weights().forEach(entry.putArray("weights")::add);
      }
    }
    if (!plan.untouched().isEmpty()) {
      ArrayNode untouched = json.putArray("untouched");
      plan.untouched()
          .forEach(
              one -> untouched.addObject().put("block", one.block()).put("reason", one.reason()));
    }
    return json;
  }

  /**
   * @throws PlanException naming the missing or wrong part
   */
  public static Plan fromJson(JsonNode json) {
    List<LayerPlan> layers = new ArrayList<>();
    for (JsonNode entry : required(json, "layers", "the plan")) {
      String block = required(entry, "block", "a layer of the plan").asText();
      List<Double> frequency =
          list(entry, "frequency", block, JsonNode::isNumber, JsonNode::asDouble);
      LayerPlan layer =
          new LayerPlan(
              block,
              list(entry, "dominant", block, JsonNode::isInt, JsonNode::asInt),
              list(entry, "labels", block, JsonNode::isInt, JsonNode::asInt),
              entry.has("weights")
                  ? list(entry, "weights", block, JsonNode::isNumber, JsonNode::asDouble)
                  : frequency,
              frequency);
      int experts = required(entry, "experts", block).asInt();
      if (experts != layer.experts()) {
        throw new PlanException(
            "%s: the plan says %d experts but has %d labels"
                .formatted(block, experts, layer.experts()));
      }
      layers.add(layer);
    }
    List<Plan.Untouched> untouched = new ArrayList<>();
    for (JsonNode entry : json.path("untouched")) {
      String block = required(entry, "block", "an untouched block of the plan").asText();
      untouched.add(new Plan.Untouched(block, required(entry, "reason", block).asText()));
    }
    JsonNode similarity = json.path("similarity");
    JsonNode maxGroup = json.path("maxGroup");
    return new Plan(
        required(json, "model", "the plan").asText(),
        required(json, "strategy", "the plan").asText(),
        similarity.isTextual()
            ? Optional.of(Similarity.named(similarity.asText()))
            : Optional.empty(),
        Budget.named(required(json, "budget", "the plan").asText()),
        required(json, "averageGroups", "the plan").asDouble(),
        maxGroup.isInt() ? OptionalInt.of(maxGroup.asInt()) : OptionalInt.empty(),
        layers,
        untouched);
  }

  /**
   * @throws PlanException if the file is missing or not a plan; the message names it
   */
  public static Plan read(Path file) {
    try {
      return fromJson(JSON.readTree(Files.readString(file)));
    } catch (NoSuchFileException missing) {
      throw new PlanException(file + ": no such plan; make one with smelt plan", missing);
    } catch (JsonProcessingException broken) {
      throw new PlanException(file + ": not JSON: " + broken.getOriginalMessage(), broken);
    } catch (PlanException wrong) {
      throw new PlanException(file + ": " + wrong.getMessage(), wrong);
    } catch (IOException unreadable) {
      throw new UncheckedIOException(unreadable);
    }
  }

  public static void write(Plan plan, Path file) {
    try {
      Files.writeString(file, JSON.writeValueAsString(toJson(plan)) + "\n");
    } catch (IOException unwritable) {
      throw new UncheckedIOException(unwritable);
    }
  }

  private static JsonNode required(JsonNode json, String field, String of) {
    JsonNode value = json.get(field);
    if (value == null || value.isNull()) {
      throw new PlanException(of + " has no \"" + field + "\"");
    }
    return value;
  }

  private static <T> List<T> list(
      JsonNode entry,
      String field,
      String block,
      java.util.function.Predicate<JsonNode> right,
      Function<JsonNode, T> read) {
    List<T> values = new ArrayList<>();
    for (JsonNode value : required(entry, field, block)) {
      if (!right.test(value)) {
        throw new PlanException("%s: \"%s\" holds %s".formatted(block, field, value));
      }
      values.add(read.apply(value));
    }
    return values;
  }
}
