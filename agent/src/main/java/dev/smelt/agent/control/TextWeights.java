package dev.smelt.agent.control;

import java.util.Arrays;
import java.util.List;

/**
 * How much of the live traffic each held-out text explains.
 *
 * <p>The profile of a layer is modelled as a mixture of the texts' own expert frequencies with one
 * set of weights for all layers; the weights are the maximum-likelihood ones, found by expectation
 * maximisation (Dempster, Laird and Rubin, 1977), which never leaves the simplex. No traffic is
 * stored for this: the activation frequencies say which kind of text is being served.
 */
final class TextWeights {

  private static final int STEPS = 500;
  private static final double CONVERGED = 1e-7;
  private static final double FLOOR = 1e-9;

  private TextWeights() {}

  /**
   * Estimates the weights.
   *
   * @param profile per layer the activation frequency [experts], each layer summing to 1
   * @param texts per text, per layer its activation frequency [experts]
   * @return one weight a text, summing to 1
   */
  static double[] estimate(List<double[]> profile, List<List<double[]>> texts) {
    double[] weights = new double[texts.size()];
    Arrays.fill(weights, 1.0 / texts.size());
    for (int step = 0; step < STEPS; step++) {
      double[] next = step(profile, texts, weights);
      double moved = 0;
      for (int text = 0; text < weights.length; text++) {
        moved = Math.max(moved, Math.abs(next[text] - weights[text]));
      }
      weights = next;
      if (moved < CONVERGED) {
        break;
      }
    }
    return weights;
  }

  private static double[] step(
      List<double[]> profile, List<List<double[]>> texts, double[] weights) {
    double[] next = new double[weights.length];
    for (int layer = 0; layer < profile.size(); layer++) {
      double[] frequency = profile.get(layer);
      for (int expert = 0; expert < frequency.length; expert++) {
        double mixture = FLOOR;
        for (int text = 0; text < weights.length; text++) {
          mixture += weights[text] * texts.get(text).get(layer)[expert];
        }
        for (int text = 0; text < weights.length; text++) {
          next[text] +=
              frequency[expert] * weights[text] * texts.get(text).get(layer)[expert] / mixture;
        }
      }
    }
    double total = Arrays.stream(next).sum();
    if (total <= 0) {
      return weights;
    }
    for (int text = 0; text < next.length; text++) {
      next[text] /= total;
    }
    return next;
  }
}
