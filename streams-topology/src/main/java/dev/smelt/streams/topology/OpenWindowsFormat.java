package dev.smelt.streams.topology;

import dev.smelt.streams.topology.LayerWindows.OpenWindow;
import dev.smelt.streams.topology.LayerWindows.Tally;
import dev.smelt.streams.usage.LayerKey;
import dev.smelt.streams.usage.Usage;
import dev.smelt.streams.usage.UsageFields;
import dev.smelt.streams.wire.FieldReader;
import dev.smelt.streams.wire.FieldWriter;
import dev.smelt.streams.wire.RecordKind;
import java.util.function.Function;

/**
 * The changelog of open windows: one entry for what is known of a layer, one for each of its
 * engines, one for each open window. The keys are a letter, the layer and the rest, on lines of
 * their own.
 */
final class OpenWindowsFormat {

  private static final char TALLY = 't';
  private static final char ENGINE = 'e';
  private static final char WINDOW = 'w';

  private static final int RECORDS = 1;

  private static final int HIGHEST = 1;
  private static final int LAST_SEEN_AT = 2;
  private static final int BITS = 3;

  private static final int CLOSED_UNTIL = 1;
  private static final int DUPLICATES = 2;
  private static final int LATE_RECORDS = 3;
  private static final int LATE_DECISIONS = 4;

  private OpenWindowsFormat() {}

  static String tallyKey(LayerKey layer) {
    return key(TALLY, layer, "");
  }

  static String engineKey(LayerKey layer, String engine) {
    return key(ENGINE, layer, engine);
  }

  static String windowKey(LayerKey layer, long start) {
    return key(WINDOW, layer, Long.toString(start));
  }

  private static String key(char kind, LayerKey layer, String rest) {
    return kind + "\n" + layer + "\n" + rest;
  }

  static byte[] write(Tally tally) {
    return new FieldWriter(RecordKind.TALLY)
        .number(CLOSED_UNTIL, tally.closedUntil())
        .number(DUPLICATES, tally.duplicates())
        .number(LATE_RECORDS, tally.lateRecords())
        .number(LATE_DECISIONS, tally.lateDecisions())
        .toBytes();
  }

  static byte[] write(SequenceWindow sequences) {
    return new FieldWriter(RecordKind.SEQUENCES)
        .number(HIGHEST, sequences.highest())
        .number(LAST_SEEN_AT, sequences.lastSeenAt())
        .bytes(BITS, sequences.bits())
        .toBytes();
  }

  static byte[] write(OpenWindow window) {
    FieldWriter out = new FieldWriter(RecordKind.OPEN_WINDOW).number(RECORDS, window.records());
    UsageFields.write(out, window.sums().build());
    return out.toBytes();
  }

  /** Puts an entry where it came from. */
  static void restore(String key, byte[] value, Function<String, LayerWindows> layers) {
    int layerEnd = key.indexOf('\n', 2);
    LayerWindows layer = layers.apply(key.substring(2, layerEnd));
    String rest = key.substring(layerEnd + 1);
    switch (key.charAt(0)) {
      case TALLY -> layer.restoreTally(tally(value));
      case ENGINE -> layer.engines().put(rest.intern(), sequences(value));
      case WINDOW -> layer.open().put(Long.parseLong(rest), window(value));
      default -> throw new IllegalStateException("unknown entry of open windows: " + key);
    }
  }

  private static Tally tally(byte[] value) {
    FieldReader in = new FieldReader(RecordKind.TALLY, value);
    long closedUntil = 0;
    long duplicates = 0;
    long lateRecords = 0;
    long lateDecisions = 0;
    while (in.next()) {
      switch (in.tag()) {
        case CLOSED_UNTIL -> closedUntil = in.number();
        case DUPLICATES -> duplicates = in.number();
        case LATE_RECORDS -> lateRecords = in.number();
        case LATE_DECISIONS -> lateDecisions = in.number();
        default -> {
          // A field of a later version.
        }
      }
    }
    return new Tally(closedUntil, duplicates, lateRecords, lateDecisions);
  }

  private static SequenceWindow sequences(byte[] value) {
    FieldReader in = new FieldReader(RecordKind.SEQUENCES, value);
    long highest = 0;
    long lastSeenAt = 0;
    byte[] bits = {};
    while (in.next()) {
      switch (in.tag()) {
        case HIGHEST -> highest = in.number();
        case LAST_SEEN_AT -> lastSeenAt = in.number();
        case BITS -> bits = in.bytes();
        default -> {
          // A field of a later version.
        }
      }
    }
    return new SequenceWindow(highest, lastSeenAt, bits);
  }

  private static OpenWindow window(byte[] value) {
    FieldReader in = new FieldReader(RecordKind.OPEN_WINDOW, value);
    UsageFields fields = new UsageFields();
    long records = 0;
    while (in.next()) {
      if (in.tag() == RECORDS) {
        records = in.number();
      } else {
        fields.read(in);
      }
    }
    Usage usage = fields.usage();
    return new OpenWindow(Usage.accumulator(usage.experts(), usage.topK()).add(usage), records);
  }
}
