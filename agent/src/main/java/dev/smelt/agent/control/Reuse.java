package dev.smelt.agent.control;

import dev.smelt.agent.plan.LayerPlan;
import dev.smelt.agent.plan.Plan;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;

/**
 * Which groups of a plan the active snapshot has an expert for already: those with the same members
 * around the same dominant expert whose merge weights have hardly moved.
 *
 * <p>A group that is kept keeps the weights that its expert was made with, so that small moves add
 * up until they matter.
 */
final class Reuse {

  /** Whether the store still has the experts of a group. */
  @FunctionalInterface
  interface Present {
    boolean test(String block, int group);
  }

  private final Plan plan;
  private final Map<String, Map<Integer, Integer>> kept;

  private Reuse(Plan plan, Map<String, Map<Integer, Integer>> kept) {
    this.plan = plan;
    this.kept = kept;
  }

  static Reuse nothing(Plan plan) {
    return new Reuse(plan, Map.of());
  }

  /**
   * Compares a plan with that of the active snapshot.
   *
   * @param present whether the experts of one of the active snapshot's groups can be taken over
   * @param within by how much the weights in a group may have moved: half the sum of the absolute
   *     differences of the members' shares, 0 to 1
   */
  static Reuse between(Plan next, Plan active, Present present, double within) {
    Map<String, Map<Integer, Integer>> kept = new HashMap<>();
    List<LayerPlan> layers = new ArrayList<>();
    for (LayerPlan layer : next.layers()) {
      LayerPlan before = active.layer(layer.block()).orElse(null);
      Map<Integer, Integer> same =
          before == null || before.experts() != layer.experts()
              ? Map.of()
              : same(layer, before, present, within);
      kept.put(layer.block(), same);
      layers.add(same.isEmpty() ? layer : withWeights(layer, before, same));
    }
    return new Reuse(next.withLayers(layers), kept);
  }

  /** The plan, with the weights that kept experts were made with. */
  Plan plan() {
    return plan;
  }

  /** The active snapshot's number of a group that is kept. */
  OptionalInt kept(String block, int group) {
    Integer before = kept.getOrDefault(block, Map.of()).get(group);
    return before == null ? OptionalInt.empty() : OptionalInt.of(before);
  }

  int keptGroups() {
    return kept.values().stream().mapToInt(Map::size).sum();
  }

  /** Whether every group is kept: nothing material has changed. */
  boolean everything() {
    return keptGroups() == plan.groups();
  }

  private static Map<Integer, Integer> same(
      LayerPlan layer, LayerPlan before, Present present, double within) {
    Map<Integer, Integer> same = new HashMap<>();
    for (int group = 0; group < layer.groups(); group++) {
      int earlier = before.labels().get(layer.dominant().get(group));
      if (earlier != LayerPlan.MASKED
          && before.dominant().get(earlier).equals(layer.dominant().get(group))
          && before.members(earlier).equals(layer.members(group))
          && moved(layer, before, layer.members(group)) <= within
          && present.test(layer.block(), earlier)) {
        same.put(group, earlier);
      }
    }
    return same;
  }

  private static double moved(LayerPlan layer, LayerPlan before, List<Integer> members) {
    if (members.size() == 1) {
      return 0;
    }
    double now = members.stream().mapToDouble(layer.weights()::get).sum();
    double then = members.stream().mapToDouble(before.weights()::get).sum();
    if (now == 0 || then == 0) {
      return now == then ? 0 : 1;
    }
    return members.stream()
            .mapToDouble(
                member ->
                    Math.abs(
                        layer.weights().get(member) / now - before.weights().get(member) / then))
            .sum()
        / 2;
  }

  private static LayerPlan withWeights(
      LayerPlan layer, LayerPlan before, Map<Integer, Integer> same) {
    List<Double> weights = new ArrayList<>(layer.weights());
    for (int expert = 0; expert < layer.experts(); expert++) {
      if (same.containsKey(layer.labels().get(expert))) {
        weights.set(expert, before.weights().get(expert));
      }
    }
    return new LayerPlan(
        layer.block(), layer.dominant(), layer.labels(), weights, layer.frequency());
  }
}
