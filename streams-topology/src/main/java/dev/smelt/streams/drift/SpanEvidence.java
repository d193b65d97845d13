package dev.smelt.streams.drift;

import org.jspecify.annotations.Nullable;

/**
 * How some span of traffic differs from a baseline.
 *
 * @param divergence Jensen-Shannon divergence in bits
 * @param unit divergence that corresponds to Q = 1 of {@link Spread}, given the requests on both
 *     sides
 */
public record SpanEvidence(double divergence, double unit) {

  static final Distance UNKNOWN = new Distance(0, 1, 0, 1);

  /**
   * @param now shares in the span
   * @param before shares in the baseline
   * @param inverseRequests sum of the reciprocals of the independent requests on both sides
   */
  static SpanEvidence of(double[] now, double[] before, double inverseRequests) {
    return new SpanEvidence(
        JensenShannon.divergence(now, before), inverseRequests / JensenShannon.BITS);
  }

  Distance distance(@Nullable Spread spread, double alpha, DriftSettings settings) {
    double uncorrected = Math.sqrt(divergence);
    if (spread == null) {
      return new Distance(uncorrected, 1, uncorrected, 1);
    }
    double threshold = Math.sqrt(Math.max(0, unit * (spread.quantile(alpha) - spread.mean())));
    return new Distance(
        corrected(spread),
        Math.min(1, Math.max(settings.minimumDistance(), threshold)),
        uncorrected,
        pValue(spread));
  }

  double relevantPValue(Spread spread, DriftSettings settings) {
    return corrected(spread) < settings.minimumDistance() ? 1 : pValue(spread);
  }

  private double corrected(Spread spread) {
    return Math.sqrt(Math.max(0, divergence - unit * spread.mean()));
  }

  private double pValue(Spread spread) {
    return spread.survival(divergence / unit);
  }
}
