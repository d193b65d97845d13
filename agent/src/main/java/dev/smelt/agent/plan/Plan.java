package dev.smelt.agent.plan;

import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * What to make of a model's experts, layer by layer. {@link PlanFile} reads and writes it.
 *
 * @param model the model's name
 * @param strategy the name of the strategy that made it
 * @param similarity what the groups were formed by; empty where the strategy forms none
 * @param budget how groups were shared out among layers
 * @param averageGroups groups per layer that were asked for
 * @param maxGroup the most experts that a group was allowed; empty for no bound
 * @param layers one entry per compressed MoE block, in layer order
 * @param untouched blocks that stay as they are, each with the reason
 */
public record Plan(
    String model,
    String strategy,
    Optional<Similarity> similarity,
    Budget budget,
    double averageGroups,
    OptionalInt maxGroup,
    List<LayerPlan> layers,
    List<Untouched> untouched) {

  /**
   * A block that can't be compressed.
   *
   * @param block its name as in the checkpoint
   * @param reason naming a tensor and the remedy
   */
  public record Untouched(String block, String reason) {}

  public Plan {
    if (!Double.isFinite(averageGroups)) {
      throw new PlanException("the plan has an average of " + averageGroups + " groups");
    }
    layers = List.copyOf(layers);
    untouched = List.copyOf(untouched);
  }

  /** A plan for every block, with groups of any size. */
  public Plan(
      String model,
      String strategy,
      Optional<Similarity> similarity,
      Budget budget,
      double averageGroups,
      List<LayerPlan> layers) {
    this(
        model, strategy, similarity, budget, averageGroups, OptionalInt.empty(), layers, List.of());
  }

  /** The same plan with other layers. */
  public Plan withLayers(List<LayerPlan> others) {
    return new Plan(
        model, strategy, similarity, budget, averageGroups, maxGroup, others, untouched);
  }

  public Optional<LayerPlan> layer(String block) {
    return layers.stream().filter(layer -> layer.block().equals(block)).findFirst();
  }

  /** The groups of all layers together. */
  public int groups() {
    return layers.stream().mapToInt(LayerPlan::groups).sum();
  }
}
