package dev.smelt.streams.topology;

import dev.smelt.streams.drift.DriftSettings;
import java.time.Duration;

/**
 * How the topology counts. Windows are tumbling and aligned to the epoch.
 *
 * @param window length of a window
 * @param grace how long after its end a window waits for records that are late or out of order, in
 *     the time that the records tell
 * @param idleClose when no record at all has come for so long, windows close by the clock of the
 *     machine; taps that send heartbeats make this a last resort. Longer than any outage that
 *     should not cost decisions: what comes after such a close is late
 * @param halfLife time after which a window weighs half in the profile
 * @param clockSkew how far a record may lie in the future of this machine's clock
 * @param drift how drift is judged
 */
public record RoutingConfig(
    Duration window,
    Duration grace,
    Duration idleClose,
    Duration halfLife,
    Duration clockSkew,
    DriftSettings drift) {

  /** What {@code smelt.yaml} doesn't say. */
  public static final RoutingConfig DEFAULT =
      new RoutingConfig(
          Duration.ofSeconds(10),
          Duration.ofSeconds(5),
          Duration.ofSeconds(30),
          Duration.ofMinutes(5),
          Duration.ofMinutes(1),
          DriftSettings.DEFAULT);

  /** Well below the ten seconds after which Kafka aborts a transaction of Kafka Streams. */
  private static final Duration MOST_UNCOMMITTED = Duration.ofSeconds(5);

  public RoutingConfig {
    requirePositive("window", window);
    requireNotNegative("grace", grace);
    requirePositive("idleClose", idleClose);
    requirePositive("halfLife", halfLife);
    requireNotNegative("clockSkew", clockSkew);
  }

  /**
   * How often the topology should commit: half a window, but at most five seconds. Results become
   * visible at a commit, and what has been counted since the last one is counted again after a
   * crash. Open windows are written down at each commit, so more of them cost more.
   */
  public Duration commitInterval() {
    Duration half = window.dividedBy(2);
    return half.compareTo(MOST_UNCOMMITTED) < 0 ? half : MOST_UNCOMMITTED;
  }

  private static void requirePositive(String name, Duration value) {
    if (value.toMillis() < 1) {
      throw new IllegalArgumentException(
          "streams: " + name + " must be at least one millisecond, not " + value);
    }
  }

  private static void requireNotNegative(String name, Duration value) {
    if (value.isNegative()) {
      throw new IllegalArgumentException(
          "streams: " + name + " must not be negative, but is " + value);
    }
  }
}
