package dev.smelt.agent.plan;

import java.util.List;
import java.util.stream.IntStream;

/**
 * What becomes of the experts of one MoE block.
 *
 * @param block the block's name as in the checkpoint
 * @param dominant the dominant expert of each group
 * @param labels per expert its group, or {@link #MASKED}
 * @param weights per expert its weight in its group's average; for M-SMoE the frequency
 * @param frequency per expert the activation frequency that the plan was made from, sums to 1
 */
public record LayerPlan(
    String block,
    List<Integer> dominant,
    List<Integer> labels,
    List<Double> weights,
    List<Double> frequency) {

  /** The label of an expert that the router may no longer choose. */
  public static final int MASKED = -1;

  public LayerPlan {
    dominant = List.copyOf(dominant);
    labels = List.copyOf(labels);
    weights = List.copyOf(weights);
    frequency = List.copyOf(frequency);
    if (dominant.isEmpty()) {
      throw new PlanException(
          block + ": the plan has no groups; every layer must keep at least one");
    }
    if (labels.size() != frequency.size() || labels.size() != weights.size()) {
      throw new PlanException(
          "%s: the plan has %d labels, %d weights and %d frequencies; it must have one of each per expert"
              .formatted(block, labels.size(), weights.size(), frequency.size()));
    }
    for (int expert = 0; expert < labels.size(); expert++) {
      int label = labels.get(expert);
      if (label < MASKED || label >= dominant.size()) {
        throw new PlanException(
            "%s: expert %d has label %d, but the plan has %d groups"
                .formatted(block, expert, label, dominant.size()));
      }
      requireNotNegative(block, expert, "weight", weights.get(expert));
      requireNotNegative(block, expert, "frequency", frequency.get(expert));
    }
    for (int group = 0; group < dominant.size(); group++) {
      int expert = dominant.get(group);
      if (expert < 0 || expert >= labels.size() || labels.get(expert) != group) {
        throw new PlanException(
            "%s: the dominant expert %d of group %d is not one of its members"
                .formatted(block, expert, group));
      }
    }
  }

  private static void requireNotNegative(String block, int expert, String what, double value) {
    if (!(value >= 0 && value < Double.POSITIVE_INFINITY)) {
      throw new PlanException(
          "%s: expert %d has %s %s; it must be 0 or more".formatted(block, expert, what, value));
    }
  }

  public int experts() {
    return labels.size();
  }

  public int groups() {
    return dominant.size();
  }

  /** The experts of a group in rising order; never empty. */
  public List<Integer> members(int group) {
    return IntStream.range(0, experts())
        .filter(expert -> labels.get(expert) == group)
        .boxed()
        .toList();
  }

  static List<Integer> list(int[] values) {
    return IntStream.of(values).boxed().toList();
  }

  static List<Double> list(double[] values) {
    return java.util.stream.DoubleStream.of(values).boxed().toList();
  }
}
