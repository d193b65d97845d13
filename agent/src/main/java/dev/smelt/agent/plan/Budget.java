package dev.smelt.agent.plan;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.IntUnaryOperator;
import java.util.stream.Collectors;

/** How a number of groups for the whole model is shared out among its layers. */
public enum Budget {
  /**
   * The layers' experts compete by frequency; equal frequencies are taken in the order of layers
   * and experts, so that exactly the budget comes out.
   */
  EXACT("exact") {
    @Override
    int[] share(List<double[]> scores, int total) {
      List<Candidate> candidates = new ArrayList<>();
      for (int layer = 0; layer < scores.size(); layer++) {
        double[] ofLayer = scores.get(layer);
        for (int expert = 0; expert < ofLayer.length; expert++) {
          candidates.add(new Candidate(ofLayer[expert], layer));
        }
      }
      candidates.sort(Comparator.comparingDouble(Candidate::score).reversed());
      int[] groups = new int[scores.size()];
      candidates.subList(0, total).forEach(candidate -> groups[candidate.layer()]++);
      return groups;
    }
  },
  /**
   * As the reference implementation of M-SMoE does it: strictly above the threshold, so ties give
   * fewer groups than the budget.
   */
  REFERENCE("reference") {
    @Override
    int[] share(List<double[]> scores, int total) {
      double[] all = scores.stream().flatMapToDouble(Arrays::stream).sorted().toArray();
      boolean keepsAll = total == all.length;
      double threshold = all[all.length - 1 - (keepsAll ? total - 1 : total)];
      return scores.stream()
          .mapToInt(
              ofLayer ->
                  Math.toIntExact(
                      Arrays.stream(ofLayer).filter(score -> score > threshold).count()))
          .toArray();
    }
  },
  /** The same number in every layer; the remainder goes to the first layers. */
  UNIFORM("uniform") {
    @Override
    int[] share(List<double[]> scores, int total) {
      int[] groups = new int[scores.size()];
      for (int layer = 0; layer < groups.length; layer++) {
        groups[layer] = total / groups.length + (layer < total % groups.length ? 1 : 0);
      }
      return groups;
    }
  };

  private record Candidate(double score, int layer) {}

  private final String label;

  Budget(String label) {
    this.label = label;
  }

  abstract int[] share(List<double[]> scores, int total);

  /**
   * The number of groups that each layer keeps: at least one, at most its experts.
   *
   * @param frequencies per merged layer its experts' activation frequencies, which sum to 1
   * @param average groups per layer, between 1 and the number of experts; times the layers, rounded
   *     to the nearest whole number, it is the budget
   * @throws PlanException for a budget outside the possible
   */
  public int[] groups(List<double[]> frequencies, double average) {
    return groups(frequencies, average, experts -> 1);
  }

  /**
   * As above, where layers need more than one group.
   *
   * @param fewest the number of groups that a layer of so many experts keeps at least
   * @throws PlanException also if the budget is too small for that
   */
  int[] groups(List<double[]> frequencies, double average, IntUnaryOperator fewest) {
    int experts = frequencies.stream().mapToInt(ofLayer -> ofLayer.length).max().orElse(1);
    int all = frequencies.stream().mapToInt(ofLayer -> ofLayer.length).sum();
    if (!(average >= 1 && average <= experts)) {
      throw new PlanException(
          "an average of %s groups is outside the possible: choose between 1 and the %d experts of a layer"
              .formatted(average, experts));
    }
    int total = Math.toIntExact(Math.min(all, Math.round(average * frequencies.size())));
    int needed = frequencies.stream().mapToInt(ofLayer -> fewest.applyAsInt(ofLayer.length)).sum();
    if (total < needed) {
      throw new PlanException(
          "an average of %s groups is too few for the bound on their size: %d groups are needed in all, %d are asked for"
              .formatted(average, needed, total));
    }
    int[] groups =
        share(
            frequencies.stream()
                .map(ofLayer -> withLeadingAtOne(ofLayer, fewest.applyAsInt(ofLayer.length)))
                .toList(),
            total);
    for (int layer = 0; layer < groups.length; layer++) {
      int ofLayer = frequencies.get(layer).length;
      groups[layer] = Math.min(Math.max(fewest.applyAsInt(ofLayer), groups[layer]), ofLayer);
    }
    return groups;
  }

  /** The most used experts count as 1, so that every layer keeps at least as many groups. */
  private static double[] withLeadingAtOne(double[] frequency, int leading) {
    double[] scores = frequency.clone();
    for (int expert : Arrays.copyOf(Grouping.byFallingFrequency(frequency), leading)) {
      scores[expert] = 1.0;
    }
    return scores;
  }

  /** The name on the command line and in {@code plan.json}. */
  @Override
  public String toString() {
    return label;
  }

  /**
   * @throws PlanException for an unknown name; the message lists the known ones
   */
  public static Budget named(String name) {
    return Arrays.stream(values())
        .filter(budget -> budget.label.equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                new PlanException(
                    "unknown budget '"
                        + name
                        + "': use one of "
                        + Arrays.stream(values())
                            .map(Budget::toString)
                            .collect(Collectors.joining(", "))));
  }
}
