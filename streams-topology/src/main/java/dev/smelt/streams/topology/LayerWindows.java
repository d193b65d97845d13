package dev.smelt.streams.topology;

import dev.smelt.streams.topology.Rejection.Reason;
import dev.smelt.streams.usage.Accumulator;
import dev.smelt.streams.usage.InvalidDecisionException;
import dev.smelt.streams.usage.LayerKey;
import dev.smelt.streams.usage.Usage;
import dev.smelt.streams.usage.UsageRecord;
import dev.smelt.streams.usage.UsageWindow;
import java.time.Instant;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Set;
import java.util.TreeMap;

/** The open windows of one layer, and what each engine has sent for it. Times are milliseconds. */
final class LayerWindows {

  /** What became of a record. */
  sealed interface Outcome {}

  /** Counted, or a heartbeat. */
  enum Accepted implements Outcome {
    COUNTED,
    DUPLICATE
  }

  record Refused(Rejection rejection) implements Outcome {}

  /** Sums of one window. */
  static final class OpenWindow {

    private final Accumulator sums;
    private long records;
    private boolean changed;

    OpenWindow(Accumulator sums, long records) {
      this.sums = sums;
      this.records = records;
    }

    Accumulator sums() {
      return sums;
    }

    long records() {
      return records;
    }
  }

  private final LayerKey key;
  private final long length;
  private final long grace;
  private final NavigableMap<Long, OpenWindow> open = new TreeMap<>();
  private final Map<String, SequenceWindow> engines = new HashMap<>();
  private final Set<Long> changedWindows = new HashSet<>();
  private final Set<String> changedEngines = new HashSet<>();
  private boolean changedTally;
  private Tally tally;

  /**
   * What is known of a layer beside its windows.
   *
   * @param closedUntil windows that end by then are closed
   * @param duplicates repeated records since the last closed window
   * @param lateRecords late records since then
   * @param lateDecisions decisions in them
   */
  record Tally(long closedUntil, long duplicates, long lateRecords, long lateDecisions) {

    static final Tally NOTHING = new Tally(0, 0, 0, 0);

    Tally duplicate() {
      return new Tally(closedUntil, duplicates + 1, lateRecords, lateDecisions);
    }

    Tally late(long decisions) {
      return new Tally(closedUntil, duplicates, lateRecords + 1, lateDecisions + decisions);
    }
  }

  LayerWindows(LayerKey key, RoutingConfig config) {
    this.key = key;
    this.length = config.window().toMillis();
    this.grace = config.grace().toMillis();
    this.tally = Tally.NOTHING;
  }

  /**
   * Counts a record.
   *
   * @param streamTime the latest time that any record told
   */
  Outcome add(UsageRecord record, long streamTime) {
    long end = record.end().toEpochMilli();
    SequenceWindow sequences = engines.get(record.engine());
    if (sequences == null) {
      sequences = new SequenceWindow();
      engines.put(record.engine().intern(), sequences); // one text for all layers stays in cache
    }
    switch (sequences.check(record.sequence())) {
      case DUPLICATE -> {
        changeTally(tally.duplicate());
        return Accepted.DUPLICATE;
      }
      case TOO_OLD -> {
        return refused(
            Reason.SEQUENCE_TOO_OLD,
            "sequence number "
                + record.sequence()
                + " of "
                + record.engine()
                + ", which has sent "
                + sequences.highest());
      }
      case FRESH -> {}
    }
    long windowStart = Math.floorDiv(end, length) * length;
    Outcome outcome = count(record, windowStart, streamTime);
    if (outcome == Accepted.COUNTED) {
      if (sequences.mark(record.sequence(), end)) {
        changedEngines.add(record.engine());
      }
    }
    return outcome;
  }

  private Outcome count(UsageRecord record, long windowStart, long streamTime) {
    if (record.decisions().isEmpty()) {
      return Accepted.COUNTED;
    }
    long windowEnd = windowStart + length;
    if (windowEnd <= tally.closedUntil() || windowEnd + grace <= streamTime) {
      return late(record, windowEnd);
    }
    OpenWindow window =
        open.computeIfAbsent(
            windowStart,
            start ->
                new OpenWindow(
                    Usage.accumulator(record.decisions().experts(), record.decisions().topK()), 0));
    Accumulator sums = window.sums();
    if (!record.decisions().fits(sums)) {
      return refused(
          Reason.SHAPE_CHANGED,
          record.decisions().experts()
              + " experts, top-"
              + record.decisions().topK()
              + " in a window of "
              + sums.experts()
              + " experts, top-"
              + sums.topK());
    }
    try {
      record.decisions().addTo(sums);
    } catch (InvalidDecisionException invalid) {
      if (window.records() == 0) {
        open.remove(windowStart);
      }
      return new Refused(RecordValidator.rejection(record, invalid));
    }
    window.records++;
    if (!window.changed) {
      window.changed = true;
      changedWindows.add(windowStart);
    }
    return Accepted.COUNTED;
  }

  private Outcome late(UsageRecord record, long windowEnd) {
    try {
      changeTally(tally.late(record.decisions().usage().decisions()));
    } catch (InvalidDecisionException invalid) {
      return new Refused(RecordValidator.rejection(record, invalid));
    }
    return refused(
        Reason.LATE,
        "ends at " + record.end() + ", its window ended at " + Instant.ofEpochMilli(windowEnd));
  }

  private static Refused refused(Reason reason, String detail) {
    return new Refused(new Rejection(reason, detail));
  }

  /** End of the earliest open window, or the end of time if none is open. */
  long earliestEnd() {
    return open.isEmpty() ? Long.MAX_VALUE : open.firstKey() + length;
  }

  /** Closes the earliest open window. */
  UsageWindow closeEarliest() {
    long start = open.firstKey();
    OpenWindow window = open.remove(start);
    changedWindows.add(start);
    UsageWindow closed =
        new UsageWindow(
            key,
            Instant.ofEpochMilli(start),
            Instant.ofEpochMilli(start + length),
            window.sums().build(),
            window.records(),
            tally.duplicates(),
            tally.lateRecords(),
            tally.lateDecisions());
    changeTally(new Tally(Math.max(tally.closedUntil(), start + length), 0, 0, 0));
    return closed;
  }

  /** Forgets engines that have sent nothing since. */
  void forgetEnginesBefore(long time) {
    engines
        .entrySet()
        .removeIf(
            engine -> {
              boolean silent = engine.getValue().lastSeenAt() < time;
              if (silent) {
                changedEngines.add(engine.getKey());
              }
              return silent;
            });
  }

  private void changeTally(Tally changed) {
    tally = changed;
    changedTally = true;
  }

  LayerKey key() {
    return key;
  }

  Tally tally() {
    return tally;
  }

  NavigableMap<Long, OpenWindow> open() {
    return open;
  }

  Map<String, SequenceWindow> engines() {
    return engines;
  }

  boolean changedTally() {
    return changedTally;
  }

  Set<Long> changedWindows() {
    return changedWindows;
  }

  Set<String> changedEngines() {
    return changedEngines;
  }

  /** Everything has been written down. */
  void written() {
    changedTally = false;
    for (long start : changedWindows) {
      OpenWindow window = open.get(start);
      if (window != null) {
        window.changed = false;
      }
    }
    changedWindows.clear();
    for (String engine : changedEngines) {
      SequenceWindow sequences = engines.get(engine);
      if (sequences != null) {
        sequences.written();
      }
    }
    changedEngines.clear();
  }

  void restoreTally(Tally stored) {
    tally = stored;
  }
}
