package dev.smelt.agent.plan;

import java.util.OptionalInt;

/**
 * What a plan should aim for.
 *
 * @param strategy who decides what becomes of the experts
 * @param similarity what experts are grouped by, where the strategy forms groups
 * @param budget how the groups are shared out among layers
 * @param averageGroups groups per layer, on average
 * @param maxGroup the most experts that a group may have; empty for the strategy's own bound, which
 *     is 16 for {@code ream} and none for all others
 */
public record PlanOptions(
    Strategy strategy,
    Similarity similarity,
    Budget budget,
    double averageGroups,
    OptionalInt maxGroup) {

  public PlanOptions {
    if (maxGroup.isPresent() && maxGroup.getAsInt() < 1) {
      throw new PlanException(
          "groups of at most %d experts are outside the possible: choose 1 or more"
              .formatted(maxGroup.getAsInt()));
    }
  }

  /** With the strategy's own bound on groups. */
  public PlanOptions(
      Strategy strategy, Similarity similarity, Budget budget, double averageGroups) {
    this(strategy, similarity, budget, averageGroups, OptionalInt.empty());
  }

  /** How many groups a layer needs at least, so that none exceeds the bound. */
  int fewestGroups(int experts) {
    return strategy.forms() && maxGroup.isPresent()
        ? (experts + maxGroup.getAsInt() - 1) / maxGroup.getAsInt()
        : 1;
  }
}
