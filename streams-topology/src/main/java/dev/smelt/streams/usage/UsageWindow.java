package dev.smelt.streams.usage;

import java.time.Duration;
import java.time.Instant;

/**
 * The usage of one layer in one closed window: the value of topic {@code smelt.usage}. Each window
 * is emitted once; windows without a single decision are not emitted.
 *
 * @param key model and layer
 * @param start first instant of the window
 * @param end first instant after the window
 * @param usage what was decided in it
 * @param records usage records that were added up
 * @param duplicates records that were dropped as repeated since the layer's previous window
 * @param lateRecords records that came after their window had closed, since the layer's previous
 *     window; they went to the dead-letter topic
 * @param lateDecisions decisions in those records
 */
public record UsageWindow(
    LayerKey key,
    Instant start,
    Instant end,
    Usage usage,
    long records,
    long duplicates,
    long lateRecords,
    long lateDecisions) {

  public UsageWindow {
    if (!end.isAfter(start)) {
      throw new IllegalArgumentException(key + ": window ends at " + end + ", starts at " + start);
    }
  }

  public Duration length() {
    return Duration.between(start, end);
  }

  /**
   * True if every decision chose expert 0: what an engine reports for a layer whose buffer it never
   * fills.
   */
  public boolean onlyExpertZero() {
    return usage.tokens() > 0 && usage.countsView()[0] == usage.decisions();
  }
}
