package dev.smelt.agent.plan;

import dev.smelt.streams.usage.UsageStatistics;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** Who decides which experts of a layer go together, and with which weights. */
public enum Strategy {
  /** The paper: groups around the most used experts, averages weighted by frequency. */
  M_SMOE("m-smoe") {
    @Override
    LayerPlan layer(
        String block, UsageStatistics usage, Share share, Supplier<SimilarityMatrix> similarity) {
      return grouped(block, usage.frequency(), share, similarity.get());
    }
  },
  /** As {@link #M_SMOE}; its merged experts are factored afterwards. */
  MC_SMOE("mc-smoe") {
    @Override
    LayerPlan layer(
        String block, UsageStatistics usage, Share share, Supplier<SimilarityMatrix> similarity) {
      return grouped(block, usage.frequency(), share, similarity.get());
    }
  },
  /** Keeps the most used experts; the router may no longer choose the others. */
  FREQUENCY_PRUNE("frequency-prune") {
    @Override
    LayerPlan layer(
        String block, UsageStatistics usage, Share share, Supplier<SimilarityMatrix> similarity) {
      return pruned(block, usage, usage.frequency(), share.groups());
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
    LayerPlan layer(
        String block, UsageStatistics usage, Share share, Supplier<SimilarityMatrix> similarity) {
      return pruned(block, usage, saliency(block, usage, this), share.groups());
    }

    @Override
    boolean forms() {
      return false;
    }
  },
  /**
   * Groups around the most salient experts, filled up one after the other, so that most experts
   * stay alone and few groups are large; averages weighted by saliency. Needs output norms.
   *
   * <p>A simplification of REAM: experts are alike by the chosen similarity instead of by gated
   * outputs and logits together, aligned by weights alone, and all layers are planned from the
   * original model instead of one after the other.
   */
  REAM("ream") {
    @Override
    LayerPlan layer(
        String block, UsageStatistics usage, Share share, Supplier<SimilarityMatrix> similarity) {
      double[] saliency = saliency(block, usage, this);
      Grouping grouping =
          Grouping.filling(
              share.groups(), share.maxGroup().orElse(REAM_GROUP), saliency, similarity.get());
      return new LayerPlan(
          block,
          LayerPlan.list(grouping.dominant()),
          LayerPlan.list(grouping.labels()),
          LayerPlan.list(saliency),
          LayerPlan.list(usage.frequency()));
    }
  },
  /** Every expert stays its own group; what it needs of its neurons is decided by its moments. */
  SMELT("smelt") {
    @Override
    LayerPlan layer(
        String block, UsageStatistics usage, Share share, Supplier<SimilarityMatrix> similarity) {
      List<Integer> each = IntStream.range(0, usage.experts()).boxed().toList();
      List<Double> frequency = LayerPlan.list(usage.frequency());
      return new LayerPlan(block, each, each, frequency, frequency);
    }

    @Override
    boolean forms() {
      return false;
    }
  };

  /** The most experts that REAM puts into one group. */
  private static final int REAM_GROUP = 16;

  private final String label;

  Strategy(String label) {
    this.label = label;
  }

  /**
   * A layer's share of the budget.
   *
   * @param maxGroup the most experts that a group may have; empty for the strategy's own bound
   */
  record Share(int groups, OptionalInt maxGroup) {}

  /**
   * @param similarity is asked only by strategies that form groups
   */
  abstract LayerPlan layer(
      String block, UsageStatistics usage, Share share, Supplier<SimilarityMatrix> similarity);

  boolean forms() {
    return true;
  }

  private static LayerPlan grouped(
      String block, double[] frequency, Share share, SimilarityMatrix similarity) {
    Grouping grouping =
        Grouping.around(
            share.groups(), share.maxGroup().orElse(frequency.length), frequency, similarity);
    return new LayerPlan(
        block,
        LayerPlan.list(grouping.dominant()),
        LayerPlan.list(grouping.labels()),
        LayerPlan.list(frequency),
        LayerPlan.list(frequency));
  }

  /** A router that picks k experts must have k to pick from. */
  private static LayerPlan pruned(
      String block, UsageStatistics usage, double[] saliency, int groups) {
    int kept = Math.max(groups, usage.topK());
    int[] order = Grouping.byFallingFrequency(saliency);
    int[] labels = new int[order.length];
    Arrays.fill(labels, LayerPlan.MASKED);
    for (int group = 0; group < kept; group++) {
      labels[order[group]] = group;
    }
    return new LayerPlan(
        block,
        LayerPlan.list(Arrays.copyOf(order, kept)),
        LayerPlan.list(labels),
        LayerPlan.list(usage.frequency()),
        LayerPlan.list(usage.frequency()));
  }

  private static double[] saliency(String block, UsageStatistics usage, Strategy asking) {
    double[] norms =
        usage
            .outputNorm()
            .orElseThrow(
                () ->
                    new PlanException(
                        "%s: %s needs output norms, which these statistics lack; record them with smelt trace --moments or choose frequency-prune"
                            .formatted(block, asking)));
    double total = Arrays.stream(norms).sum();
    if (!(total > 0) || Double.isInfinite(total)) {
      throw new PlanException(
          "%s: the output norms sum to %s, which ranks nothing; record them again"
              .formatted(block, total));
    }
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
