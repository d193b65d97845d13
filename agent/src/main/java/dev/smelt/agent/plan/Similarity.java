package dev.smelt.agent.plan;

import java.util.Arrays;
import java.util.stream.Collectors;

/**
 * What makes two experts of a layer alike. The plan records which one was used; none stands in for
 * another silently.
 */
public enum Similarity {
  /** Cosine of the two experts' router logits over the tokens. */
  ROUTER_LOGITS("router-logits"),
  /** Cosine of the two experts' 0/1 choice vectors over the tokens; says nothing for top-1. */
  CO_ACTIVATION("co-activation"),
  /** Cosine of the two experts' rows in the router's weight. */
  ROUTER_WEIGHT("router-weight"),
  /** Cosine of all weights of the two experts, flattened. */
  WEIGHT("weight");

  private final String label;

  Similarity(String label) {
    this.label = label;
  }

  /** The name on the command line and in {@code plan.json}. */
  @Override
  public String toString() {
    return label;
  }

  /**
   * @throws PlanException for an unknown name; the message lists the known ones
   */
  public static Similarity named(String name) {
    return Arrays.stream(values())
        .filter(similarity -> similarity.label.equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                new PlanException(
                    "unknown similarity '"
                        + name
                        + "': use one of "
                        + Arrays.stream(values())
                            .map(Similarity::toString)
                            .collect(Collectors.joining(", "))));
  }
}
