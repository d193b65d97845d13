package dev.smelt.agent.simulation;

import java.time.Duration;
import java.util.Optional;

/**
 * A way to keep a snapshot that fits.
 *
 * @param name in words
 * @param every the fixed interval between re-merges; empty for the loop's own judgement
 * @param memory the half-life of the profile that re-merges are made from; empty for that of the
 *     loop
 * @param judged whether the gate judges candidates
 */
public record Way(
    String name, Optional<Duration> every, Optional<Duration> memory, boolean judged) {

  /** The loop in {@code auto}. */
  public static final Way LOOP = new Way("loop", Optional.empty(), Optional.empty(), true);

  private static final Duration LONGEST_MEMORY = Duration.ofDays(7);
  private static final Duration NEVER_AGAIN = Duration.ofDays(100_000);

  /**
   * A re-merge whatever the drift, from a profile that remembers as much as came since the one
   * before, at most a week.
   */
  public static Way each(Duration interval) {
    long hours = interval.toHours();
    String name =
        interval.equals(Duration.ofHours(hours)) && hours % 24 == 0
            ? "every " + hours / 24 + " d"
            : String.format("every %.1f h", interval.toMinutes() / 60.0);
    return new Way(
        name,
        Optional.of(interval),
        Optional.of(interval.compareTo(LONGEST_MEMORY) < 0 ? interval : LONGEST_MEMORY),
        false);
  }

  /** The same from the loop's profile, which remembers the newest traffic only. */
  public Way recent() {
    return new Way(name + ", recent", every, Optional.empty(), judged);
  }

  /** The same, but a snapshot that the gate finds worse than what serves does not replace it. */
  public Way gated() {
    return new Way(name + ", gated", every, memory, true);
  }

  /** One snapshot from the traffic of the lead-in, as offline compression does. */
  public static Way never() {
    return new Way("never", Optional.of(NEVER_AGAIN), Optional.of(LONGEST_MEMORY), false);
  }

  /** Whether it makes but one snapshot. */
  boolean once() {
    return every.equals(Optional.of(NEVER_AGAIN));
  }
}
