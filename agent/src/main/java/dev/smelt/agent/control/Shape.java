package dev.smelt.agent.control;

import com.fasterxml.jackson.databind.JsonNode;
import dev.smelt.streams.drift.JensenShannon;
import dev.smelt.streams.profile.Profile;
import java.util.HashMap;
import java.util.Map;

/**
 * How traffic uses the experts of a model.
 *
 * @param frequency per MoE block the share of each expert [experts], summing to 1
 */
record Shape(Map<String, double[]> frequency) {

  Shape {
    frequency = Map.copyOf(frequency);
  }

  static Shape of(Map<String, Profile> profiles) {
    Map<String, double[]> frequency = new HashMap<>();
    profiles.forEach((block, profile) -> frequency.put(block, profile.frequency()));
    return new Shape(frequency);
  }

  /**
   * @param usage as a manifest keeps it ({@link Baselines})
   */
  static Shape of(JsonNode usage) {
    Map<String, double[]> frequency = new HashMap<>();
    usage
        .fields()
        .forEachRemaining(
            block -> frequency.put(block.getKey(), Baselines.frequency(block.getValue())));
    return new Shape(frequency);
  }

  /** Whether every block of the other is known here with as many experts. */
  boolean covers(Shape other) {
    return !frequency.isEmpty()
        && other.frequency.entrySet().stream()
            .allMatch(
                block ->
                    frequency.containsKey(block.getKey())
                        && frequency.get(block.getKey()).length == block.getValue().length);
  }

  /**
   * The mean over blocks of the Jensen-Shannon distance, base 2, as drift is measured but not
   * corrected for sample size: it serves to say which of two shapes is nearer.
   *
   * @param other must cover this one
   */
  double distance(Shape other) {
    return frequency.entrySet().stream()
        .mapToDouble(
            block -> JensenShannon.distance(block.getValue(), other.frequency.get(block.getKey())))
        .average()
        .orElse(0);
  }
}
