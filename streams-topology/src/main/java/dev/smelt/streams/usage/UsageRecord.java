package dev.smelt.streams.usage;

import java.time.Instant;

/**
 * What a tap saw of one layer in a short span of time: the value of topic {@code smelt.routing},
 * whose key is {@link LayerKey#toString}.
 *
 * <p>A record without decisions is a heartbeat: it says that time has passed, so that windows of a
 * quiet layer close. Taps send one per layer at least every window, with a sequence number like any
 * other record.
 *
 * @param key model and layer
 * @param engine the engine instance that decided, unique for each start of the tap (for example
 *     host, port and start time): sequence numbers are compared within it
 * @param snapshot the snapshot that was served, empty for the uncompressed model
 * @param sequence counts up from 0, one for each record of this engine and key; a retried record
 *     keeps its number
 * @param start when the first decision was made
 * @param end when the last decision was made, not before {@code start}; the record belongs to the
 *     window that holds it
 * @param decisions what was decided
 */
public record UsageRecord(
    LayerKey key,
    String engine,
    String snapshot,
    long sequence,
    Instant start,
    Instant end,
    Decisions decisions) {

  public UsageRecord {
    if (engine.isBlank()) {
      throw new IllegalArgumentException(key + ": the engine's name is empty");
    }
    if (sequence < 0) {
      throw new IllegalArgumentException(key + ": sequence number " + sequence + " is negative");
    }
    if (end.isBefore(start)) {
      throw new IllegalArgumentException(key + ": ends at " + end + ", before its start " + start);
    }
  }

  /** A record that says only that time has passed. */
  public static UsageRecord heartbeat(
      LayerKey key,
      String engine,
      String snapshot,
      long sequence,
      Instant at,
      int experts,
      int topK) {
    return new UsageRecord(
        key, engine, snapshot, sequence, at, at, new Combined(Usage.empty(experts, topK)));
  }
}
