package dev.smelt.agent.statistics;

import java.util.Optional;

/**
 * What the routing decisions of one MoE block add up to, as far as planning needs it. All of it may
 * be decayed over time; only ratios matter.
 *
 * @param block the block's name as in the checkpoint
 * @param counts per expert how often it was among the chosen
 * @param coActivation row-major experts x experts: tokens that chose both; the diagonal is not read
 * @param logitGram row-major experts x experts: sum over tokens of the products of router logits
 * @param gateMass per expert the sum of the gate weights given to it
 * @param outputNorm per expert the sum of gate weight times norm of its output
 */
public record LayerUsage(
    String block,
    double[] counts,
    Optional<double[]> coActivation,
    Optional<double[]> logitGram,
    Optional<double[]> gateMass,
    Optional<double[]> outputNorm) {

  public LayerUsage {
    int experts = counts.length;
    double total = 0;
    for (double count : counts) {
      if (!(count >= 0) || Double.isInfinite(count)) {
        throw new StatisticsException(block + ": a count of " + count + " is no usage");
      }
      total += count;
    }
    if (total == 0) {
      throw new StatisticsException(
          block
              + ": no token was routed to any expert; give statistics of traffic that reaches every"
              + " layer");
    }
    check(block, "co-activation", coActivation, experts * experts);
    check(block, "logit Gram", logitGram, experts * experts);
    check(block, "gate mass", gateMass, experts);
    check(block, "output norms", outputNorm, experts);
  }

  public int experts() {
    return counts.length;
  }

  /** Activation frequency of each expert; sums to 1. */
  public double[] frequency() {
    double total = 0;
    for (double count : counts) {
      total += count;
    }
    double[] frequency = new double[counts.length];
    for (int expert = 0; expert < frequency.length; expert++) {
      frequency[expert] = counts[expert] / total;
    }
    return frequency;
  }

  private static void check(String block, String what, Optional<double[]> values, int length) {
    if (values.isEmpty()) {
      return;
    }
    if (values.get().length != length) {
      throw new StatisticsException(
          "%s: %d values of %s where %d belong"
              .formatted(block, values.get().length, what, length));
    }
    for (double value : values.get()) {
      if (!Double.isFinite(value)) {
        throw new StatisticsException(block + ": the " + what + " holds " + value);
      }
    }
  }
}
