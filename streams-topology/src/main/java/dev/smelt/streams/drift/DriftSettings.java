package dev.smelt.streams.drift;

/**
 * How drift is judged.
 *
 * @param falseDiscoveryRate among the layers called drifted in a window, the tolerated share that
 *     is not; also the rate of windows with any false alarm while nothing drifts
 * @param minimumDistance corrected Jensen-Shannon distance below which a change never matters,
 *     however certain
 * @param minimumRequests independent requests needed before a span of traffic is judged
 * @param minimumReferenceWindows windows needed before the ordinary variation of a layer counts as
 *     known
 * @param referenceWindows most recent windows that the ordinary variation is estimated from
 * @param referenceLag windows between the two that are compared to estimate it, longer than most
 *     requests last
 * @param movers experts to name as those that changed most
 */
public record DriftSettings(
    double falseDiscoveryRate,
    double minimumDistance,
    double minimumRequests,
    int minimumReferenceWindows,
    int referenceWindows,
    int referenceLag,
    int movers) {

  /** What {@code smelt.yaml} doesn't say. */
  public static final DriftSettings DEFAULT = new DriftSettings(0.0005, 0.01, 30, 8, 32, 4, 5);

  public DriftSettings {
    if (!(falseDiscoveryRate > 0) || falseDiscoveryRate > 0.5) {
      throw new IllegalArgumentException(
          "drift: falseDiscoveryRate must be above 0 and at most 0.5, not " + falseDiscoveryRate);
    }
    if (!(minimumDistance >= 0) || minimumDistance >= 1) {
      throw new IllegalArgumentException(
          "drift: minimumDistance must be at least 0 and below 1, not " + minimumDistance);
    }
    if (!(minimumRequests >= 1)) {
      throw new IllegalArgumentException(
          "drift: minimumRequests must be at least 1, not " + minimumRequests);
    }
    if (minimumReferenceWindows < 4 || referenceWindows < minimumReferenceWindows) {
      throw new IllegalArgumentException(
          "drift: minimumReferenceWindows must be at least 4 and at most referenceWindows, not "
              + minimumReferenceWindows
              + " of "
              + referenceWindows);
    }
    if (referenceLag < 1) {
      throw new IllegalArgumentException(
          "drift: referenceLag must be at least 1, not " + referenceLag);
    }
    if (movers < 0) {
      throw new IllegalArgumentException("drift: movers must not be negative: " + movers);
    }
  }
}
