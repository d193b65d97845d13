package dev.smelt.agent.config;

import dev.smelt.streams.drift.DriftSettings;

/**
 * How sure the stream must be before it calls traffic drifted; see DRIFT.md in streams-topology.
 *
 * @param falseDiscoveryRate the tolerated share of false calls; 0.0005 by default
 * @param minimumDistance the least distance that matters, however certain; 0.01 by default
 * @param minimumRequests independent requests before a span is judged; 30 by default
 * @param minimumReferenceWindows windows before the ordinary variation counts as known; 8 by
 *     default
 * @param referenceWindows newest windows that it is estimated from; 32 by default
 * @param referenceLag windows between the two that are compared, longer than most requests last; 4
 *     by default
 */
public record DriftDetection(
    Double falseDiscoveryRate,
    Double minimumDistance,
    Double minimumRequests,
    Integer minimumReferenceWindows,
    Integer referenceWindows,
    Integer referenceLag) {

  static final DriftDetection DEFAULT = new DriftDetection(null, null, null, null, null, null);

  public DriftDetection {
    DriftSettings fallback = DriftSettings.DEFAULT;
    falseDiscoveryRate = Settings.orElse(falseDiscoveryRate, fallback.falseDiscoveryRate());
    minimumDistance = Settings.orElse(minimumDistance, fallback.minimumDistance());
    minimumRequests = Settings.orElse(minimumRequests, fallback.minimumRequests());
    minimumReferenceWindows =
        Settings.orElse(minimumReferenceWindows, fallback.minimumReferenceWindows());
    referenceWindows = Settings.orElse(referenceWindows, fallback.referenceWindows());
    referenceLag = Settings.orElse(referenceLag, fallback.referenceLag());
  }

  /**
   * The same for the stream.
   *
   * @throws IllegalArgumentException if a value cannot work; the message names it
   */
  public DriftSettings settings() {
    return new DriftSettings(
        falseDiscoveryRate,
        minimumDistance,
        minimumRequests,
        minimumReferenceWindows,
        referenceWindows,
        referenceLag,
        DriftSettings.DEFAULT.movers());
  }
}
