package dev.smelt.agent.plan;

/**
 * What a plan should aim for.
 *
 * @param strategy who decides what becomes of the experts
 * @param similarity what experts are grouped by, where the strategy forms groups
 * @param budget how the groups are shared out among layers
 * @param averageGroups groups per layer, on average
 */
public record PlanOptions(
    Strategy strategy, Similarity similarity, Budget budget, double averageGroups) {}
