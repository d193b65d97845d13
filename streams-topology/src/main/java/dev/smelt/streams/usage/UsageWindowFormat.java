package dev.smelt.streams.usage;

import dev.smelt.streams.wire.BinarySerde;
import dev.smelt.streams.wire.FieldReader;
import dev.smelt.streams.wire.FieldWriter;
import dev.smelt.streams.wire.RecordKind;
import java.time.Instant;
import org.apache.kafka.common.serialization.Serde;

/** The binary form of a {@link UsageWindow}, described in FORMAT.md. */
public final class UsageWindowFormat {

  private static final int MODEL = 1;
  private static final int LAYER = 2;
  private static final int START = 3;
  private static final int LENGTH = 4;
  private static final int RECORDS = 5;
  private static final int DUPLICATES = 6;
  private static final int LATE_RECORDS = 7;
  private static final int LATE_DECISIONS = 8;

  private UsageWindowFormat() {}

  /** For values of topic {@code smelt.usage}. */
  public static Serde<UsageWindow> serde() {
    return new BinarySerde<>(UsageWindowFormat::write, UsageWindowFormat::read);
  }

  public static byte[] write(UsageWindow window) {
    FieldWriter out =
        new FieldWriter(RecordKind.USAGE_WINDOW)
            .text(MODEL, window.key().model())
            .text(LAYER, window.key().layer())
            .number(START, window.start().toEpochMilli())
            .number(LENGTH, window.length().toMillis())
            .number(RECORDS, window.records())
            .number(DUPLICATES, window.duplicates())
            .number(LATE_RECORDS, window.lateRecords())
            .number(LATE_DECISIONS, window.lateDecisions());
    UsageFields.write(out, window.usage());
    return out.toBytes();
  }

  public static UsageWindow read(byte[] bytes) {
    FieldReader in = new FieldReader(RecordKind.USAGE_WINDOW, bytes);
    UsageFields usage = new UsageFields();
    String model = "";
    String layer = "";
    long start = 0;
    long length = 0;
    long records = 0;
    long duplicates = 0;
    long lateRecords = 0;
    long lateDecisions = 0;
    while (in.next()) {
      switch (in.tag()) {
        case MODEL -> model = in.text();
        case LAYER -> layer = in.text();
        case START -> start = in.number();
        case LENGTH -> length = in.number();
        case RECORDS -> records = in.number();
        case DUPLICATES -> duplicates = in.number();
        case LATE_RECORDS -> lateRecords = in.number();
        case LATE_DECISIONS -> lateDecisions = in.number();
        default -> usage.read(in);
      }
    }
    return new UsageWindow(
        new LayerKey(model, layer),
        Instant.ofEpochMilli(start),
        Instant.ofEpochMilli(start + length),
        usage.usage(),
        records,
        duplicates,
        lateRecords,
        lateDecisions);
  }
}
