package dev.smelt.agent.simulation;

import java.time.Duration;
import java.util.Optional;

/**
 * A way to keep a snapshot that fits.
 *
 * @param name in words
 * @param every the fixed interval between re-merges; empty for the loop's own judgement
 */
public record Way(String name, Optional<Duration> every) {

  /** The loop in {@code auto}. */
  public static final Way LOOP = new Way("loop", Optional.empty());

  /** A re-merge from the traffic since the one before, whatever the drift. */
  public static Way each(Duration interval) {
    long hours = interval.toHours();
    String name =
        hours % 24 == 0
            ? "every " + hours / 24 + " d"
            : String.format("every %.1f h", interval.toMinutes() / 60.0);
    return new Way(name, Optional.of(interval));
  }

  /** One snapshot from the traffic of the lead-in, as offline compression does. */
  public static Way never() {
    return new Way("never", Optional.of(Duration.ofDays(100_000)));
  }
}
