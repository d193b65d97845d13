package dev.smelt.agent.tap;

import java.time.Duration;

/**
 * How decisions are combined before they leave the host.
 *
 * @param flushInterval how long decisions are kept at most
 * @param flushTokens tokens after which they are sent earlier
 * @param heartbeat how long a layer without traffic stays silent before a record says that time has
 *     passed; must be shorter than a window of the stream
 * @param form what a record carries
 */
public record CombinerSettings(
    Duration flushInterval, int flushTokens, Duration heartbeat, Form form) {

  /** What a usage record carries. */
  public enum Form {
    /** Counts and co-activations, added up. */
    COMBINED,
    /** Every single choice, at most two bytes each. */
    PACKED
  }

  public CombinerSettings {
    requirePositive("combiner.flushInterval", flushInterval);
    requirePositive("combiner.heartbeat", heartbeat);
    if (flushTokens < 1) {
      throw new IllegalArgumentException("combiner.flushTokens must be at least 1: " + flushTokens);
    }
  }

  public static CombinerSettings defaults() {
    return new CombinerSettings(Duration.ofMillis(250), 4096, Duration.ofSeconds(1), Form.COMBINED);
  }

  private static void requirePositive(String setting, Duration value) {
    if (value.isNegative() || value.isZero()) {
      throw new IllegalArgumentException(setting + " must be positive: " + value);
    }
  }
}
