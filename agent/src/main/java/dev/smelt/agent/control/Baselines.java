package dev.smelt.agent.control;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.streams.profile.Baseline;
import dev.smelt.streams.profile.Profile;
import dev.smelt.streams.usage.LayerKey;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * The usage that a snapshot was made from, as its manifest keeps it: {@code {block: {"frequency":
 * [experts], "tokens", "effectiveRequests"}}}.
 */
final class Baselines {

  private Baselines() {}

  static JsonNode toJson(Map<String, Profile> profiles) {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    profiles.forEach(
        (block, profile) -> {
          ObjectNode entry = json.putObject(block);
          ArrayNode frequency = entry.putArray("frequency");
          for (double share : profile.frequency()) {
            frequency.add(share);
          }
          entry.put("tokens", profile.tokens());
          entry.put("effectiveRequests", profile.effectiveRequests());
        });
    return json;
  }

  /**
   * The baselines that become those of the model while the snapshot serves.
   *
   * @param usage as the manifest keeps it
   */
  static List<Baseline> of(Manifest snapshot, JsonNode usage, Instant activatedAt) {
    List<Baseline> baselines = new ArrayList<>();
    usage
        .fields()
        .forEachRemaining(
            block ->
                baselines.add(
                    new Baseline(
                        new LayerKey(snapshot.model(), block.getKey()),
                        snapshot.id(),
                        activatedAt,
                        frequency(block.getValue()),
                        block.getValue().path("tokens").asDouble(),
                        block.getValue().path("effectiveRequests").asDouble())));
    return baselines;
  }

  /** The activation frequency [experts] of one block's entry. */
  static double[] frequency(JsonNode block) {
    JsonNode shares = block.path("frequency");
    double[] frequency = new double[shares.size()];
    for (int expert = 0; expert < frequency.length; expert++) {
      frequency[expert] = shares.get(expert).asDouble();
    }
    return frequency;
  }
}
