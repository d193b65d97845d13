package dev.smelt.agent.plan;

import dev.smelt.agent.statistics.LayerUsage;
import java.util.Arrays;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** Who decides which experts of a layer go together, and with which weights. */
public enum Strategy {
  /** The paper: groups around the most used experts, averages weighted by frequency. */
  M_SMOE("m-smoe") {
    @Override
    LayerPlan layer(LayerUsage usage, int groups, int topK, SimilaritySource similarity) {
      return grouped(usage, usage.frequency(), groups, similarity);
    }
  },
  /** As {@link #M_SMOE}; its merged experts are factored afterwards. */
  MC_SMOE("mc-smoe") {
    @Override
    LayerPlan layer(LayerUsage usage, int groups, int topK, SimilaritySource similarity) {
      return grouped(usage, usage.frequency(), groups, similarity);
    }
  },
  /** Keeps the most used experts; the router may no longer choose the others. */
  FREQUENCY_PRUNE("frequency-prune") {
    @Override
    LayerPlan layer(LayerUsage usage, int groups, int topK, SimilaritySource similarity) {
      return pruned(usage, usage.frequency(), Math.max(groups, topK));
    }

    @Override
    boolean forms() {
      return false;
    }
  },
  /**
   * Keeps the experts with the most saliency, the sum of gate weight times norm of the output
   * (REAP, arXiv 2510.13999, with the sum in place of the mean: the frequency counts). Needs output
   * norms.
   */
  REAP("reap") {
    @Override
    LayerPlan layer(LayerUsage usage, int groups, int topK, SimilaritySource similarity) {
      return pruned(usage, saliency(usage), Math.max(groups, topK));
    }

    @Override
    boolean forms() {
      return false;
    }
  };

  private final String label;

  Strategy(String label) {
    this.label = label;
  }

  interface SimilaritySource extends Function<LayerUsage, SimilarityMatrix> {}

  abstract LayerPlan layer(LayerUsage usage, int groups, int topK, SimilaritySource similarity);

  boolean forms() {
    return true;
  }

  private static LayerPlan grouped(
      LayerUsage usage, double[] weights, int groups, SimilaritySource similarity) {
    Grouping grouping = Grouping.around(groups, weights, similarity.apply(usage));
    return new LayerPlan(
        usage.block(),
        LayerPlan.list(grouping.dominant()),
        LayerPlan.list(grouping.labels()),
        LayerPlan.list(weights),
        LayerPlan.list(usage.frequency()));
  }

  private static LayerPlan pruned(LayerUsage usage, double[] saliency, int kept) {
    int[] order = Grouping.byFallingFrequency(saliency);
    int[] labels = new int[order.length];
    Arrays.fill(labels, LayerPlan.MASKED);
    for (int group = 0; group < kept; group++) {
      labels[order[group]] = group;
    }
    return new LayerPlan(
        usage.block(),
        LayerPlan.list(Arrays.copyOf(order, kept)),
        LayerPlan.list(labels),
        LayerPlan.list(usage.frequency()),
        LayerPlan.list(usage.frequency()));
  }

  private static double[] saliency(LayerUsage usage) {
    double[] norms =
        usage
            .outputNorm()
            .orElseThrow(
                () ->
                    new PlanException(
                        usage.block()
                            + ": reap needs output norms, which these statistics lack; record them"
                            + " with smelt trace --moments or choose frequency-prune"));
    double total = Arrays.stream(norms).sum();
    return IntStream.range(0, norms.length).mapToDouble(e -> norms[e] / total).toArray();
  }

  /** The name on the command line and in {@code plan.json}. */
  @Override
  public String toString() {
    return label;
  }

  /**
   * @throws PlanException for an unknown name; the message lists the known ones
   */
  public static Strategy named(String name) {
    return Arrays.stream(values())
        .filter(strategy -> strategy.label.equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                new PlanException(
                    "unknown strategy '"
                        + name
                        + "': use one of "
                        + Arrays.stream(values())
                            .map(Strategy::toString)
                            .collect(Collectors.joining(", "))));
  }

  static Optional<Similarity> used(PlanOptions options) {
    return options.strategy().forms() ? Optional.of(options.similarity()) : Optional.empty();
  }
}
