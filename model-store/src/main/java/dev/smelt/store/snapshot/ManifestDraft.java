package dev.smelt.store.snapshot;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.util.Optional;

/**
 * What a publisher says about a snapshot beside its tensors; see {@link Manifest} for the meaning
 * of each part.
 */
public record ManifestDraft(
    Optional<String> parent,
    String publisher,
    String trigger,
    String strategy,
    String checkpointDigest,
    JsonNode plan,
    JsonNode gate,
    JsonNode baseline) {

  /** A draft with nothing but what must be there. */
  public static ManifestDraft of(
      String publisher, String trigger, String strategy, String checkpointDigest) {
    JsonNode nothing = JsonNodeFactory.instance.objectNode();
    return new ManifestDraft(
        Optional.empty(),
        publisher,
        trigger,
        strategy,
        checkpointDigest,
        nothing,
        nothing,
        nothing);
  }

  /** The same draft, made from another snapshot. */
  public ManifestDraft withParent(String snapshot) {
    return new ManifestDraft(
        Optional.of(snapshot),
        publisher,
        trigger,
        strategy,
        checkpointDigest,
        plan,
        gate,
        baseline);
  }

  public ManifestDraft withPlan(JsonNode other) {
    return new ManifestDraft(
        parent, publisher, trigger, strategy, checkpointDigest, other, gate, baseline);
  }

  public ManifestDraft withGate(JsonNode other) {
    return new ManifestDraft(
        parent, publisher, trigger, strategy, checkpointDigest, plan, other, baseline);
  }

  public ManifestDraft withBaseline(JsonNode other) {
    return new ManifestDraft(
        parent, publisher, trigger, strategy, checkpointDigest, plan, gate, other);
  }
}
