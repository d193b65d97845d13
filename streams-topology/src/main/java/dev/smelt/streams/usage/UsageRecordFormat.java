package dev.smelt.streams.usage;

import dev.smelt.streams.wire.BinarySerde;
import dev.smelt.streams.wire.FieldReader;
import dev.smelt.streams.wire.FieldWriter;
import dev.smelt.streams.wire.RecordKind;
import dev.smelt.streams.wire.WireFormatException;
import dev.smelt.streams.wire.WireFormatException.Reason;
import java.time.Instant;
import java.util.Arrays;
import org.apache.kafka.common.serialization.Serde;

/** The binary form of a {@link UsageRecord}, described in FORMAT.md. */
public final class UsageRecordFormat {

  private static final int MODEL = 1;
  private static final int LAYER = 2;
  private static final int ENGINE = 3;
  private static final int SNAPSHOT = 4;
  private static final int SEQUENCE = 5;
  private static final int START = 6;
  private static final int DURATION = 7;

  private UsageRecordFormat() {}

  /** For values of topic {@code smelt.routing}. */
  public static Serde<UsageRecord> serde() {
    return new BinarySerde<>(UsageRecordFormat::write, UsageRecordFormat::read);
  }

  public static byte[] write(UsageRecord record) {
    FieldWriter out =
        new FieldWriter(RecordKind.USAGE_RECORD)
            .text(MODEL, record.key().model())
            .text(LAYER, record.key().layer())
            .text(ENGINE, record.engine())
            .text(SNAPSHOT, record.snapshot())
            .number(SEQUENCE, record.sequence())
            .number(START, record.start().toEpochMilli())
            .number(DURATION, record.end().toEpochMilli() - record.start().toEpochMilli());
    UsageFields.write(out, record.decisions());
    return out.toBytes();
  }

  /**
   * The fields that differ between engines whose decisions are the same, to be put behind a record:
   * of a field that comes twice, the later counts.
   */
  public static byte[] writeOrigin(String engine, long sequence, long startMillis) {
    byte[] record =
        new FieldWriter(RecordKind.USAGE_RECORD)
            .text(ENGINE, engine)
            .number(SEQUENCE, sequence)
            .number(START, startMillis)
            .toBytes();
    return Arrays.copyOfRange(record, FieldWriter.HEADER_BYTES, record.length);
  }

  /**
   * Reads a record.
   *
   * @throws WireFormatException if the bytes are damaged, another kind of record or of an unknown
   *     major version
   */
  public static UsageRecord read(byte[] bytes) {
    FieldReader in = new FieldReader(RecordKind.USAGE_RECORD, bytes);
    UsageFields usage = new UsageFields();
    String model = "";
    String layer = "";
    String engine = "";
    String snapshot = "";
    long sequence = 0;
    long start = 0;
    long duration = 0;
    while (in.next()) {
      switch (in.tag()) {
        case MODEL -> model = in.text();
        case LAYER -> layer = in.text();
        case ENGINE -> engine = in.text();
        case SNAPSHOT -> snapshot = in.text();
        case SEQUENCE -> sequence = in.number();
        case START -> start = in.number();
        case DURATION -> duration = in.number();
        default -> usage.read(in);
      }
    }
    Decisions decisions = usage.decisions();
    try {
      return new UsageRecord(
          new LayerKey(model, layer),
          engine,
          snapshot,
          sequence,
          Instant.ofEpochMilli(start),
          Instant.ofEpochMilli(Math.addExact(start, duration)),
          decisions);
    } catch (IllegalArgumentException | ArithmeticException contradiction) {
      throw new WireFormatException(Reason.DAMAGED, String.valueOf(contradiction.getMessage()));
    }
  }
}
