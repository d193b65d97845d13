package dev.smelt.streams.drift;

import org.apache.commons.statistics.distribution.FDistribution;

/**
 * How a layer's usage varies from request to request while nothing drifts: the distribution of
 * {@code Q = sum_e (p_e - q_e)^2 / m_e / (1/r + 1/s)}, where p and q are the shares in r and s
 * independent requests of the same traffic.
 *
 * <p>Q is a weighted sum of squared normals, one for each direction in which requests differ; a few
 * directions dominate when requests come from a few kinds. It is approximated by a shifted and
 * scaled chi-squared distribution with the same first three moments (Hall, 1983; Buckley and
 * Eagleson, 1988). Because the moments are themselves estimates from few windows, the chi-squared
 * is widened to an F distribution, as Student's t widens the normal.
 *
 * @param mean expectation of Q
 * @param scaled what the F-distributed part is multiplied by; the rest of the mean is constant
 * @param degrees degrees of freedom of Q
 * @param calibrationDegrees degrees of freedom of the estimate
 */
public record Spread(double mean, double scaled, double degrees, double calibrationDegrees) {

  /** P(Q &ge; q). */
  public double survival(double q) {
    if (scaled <= 0) {
      return q > mean ? 0 : 1;
    }
    double f = (q - (mean - scaled)) / scaled;
    return f <= 0 ? 1 : distribution().survivalProbability(f);
  }

  /** The q with {@code survival(q) == probability}. */
  public double quantile(double probability) {
    if (scaled <= 0) {
      return mean;
    }
    return mean - scaled + scaled * distribution().inverseSurvivalProbability(probability);
  }

  private FDistribution distribution() {
    return FDistribution.of(degrees, calibrationDegrees);
  }
}
