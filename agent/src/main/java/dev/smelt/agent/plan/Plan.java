package dev.smelt.agent.plan;

import java.util.List;
import java.util.Optional;

/**
 * What to make of a model's experts, layer by layer. {@link PlanFile} reads and writes it.
 *
 * @param model the model's name
 * @param strategy the name of the strategy that made it
 * @param similarity what the groups were formed by; empty where the strategy forms none
 * @param budget how groups were shared out among layers
 * @param averageGroups groups per layer that were asked for
 * @param layers one entry per compressed MoE block, in layer order
 */
public record Plan(
    String model,
    String strategy,
    Optional<Similarity> similarity,
    Budget budget,
    double averageGroups,
    List<LayerPlan> layers) {

  public Plan {
    layers = List.copyOf(layers);
  }

  public Optional<LayerPlan> layer(String block) {
    return layers.stream().filter(layer -> layer.block().equals(block)).findFirst();
  }

  /** The groups of all layers together. */
  public int groups() {
    return layers.stream().mapToInt(LayerPlan::groups).sum();
  }
}
