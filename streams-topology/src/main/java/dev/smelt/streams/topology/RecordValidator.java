package dev.smelt.streams.topology;

import dev.smelt.streams.topology.Rejection.Reason;
import dev.smelt.streams.usage.Combined;
import dev.smelt.streams.usage.InvalidDecisionException;
import dev.smelt.streams.usage.PackedIds;
import dev.smelt.streams.usage.UsageRecord;
import dev.smelt.streams.usage.UsageRecordFormat;
import dev.smelt.streams.wire.WireFormatException;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/** Reads what came from the topic and refuses what no router decides. */
final class RecordValidator {

  /** What became of the bytes of a record. */
  sealed interface Verdict {}

  record Valid(UsageRecord record) implements Verdict {}

  record Invalid(Rejection rejection) implements Verdict {}

  private final Duration clockSkew;

  RecordValidator(Duration clockSkew) {
    this.clockSkew = clockSkew;
  }

  Verdict validate(@Nullable String key, byte @Nullable [] value, long now) {
    if (key == null || value == null) {
      return invalid(Reason.DAMAGED, "a record needs a key and a value");
    }
    UsageRecord record;
    try {
      record = UsageRecordFormat.read(value);
    } catch (WireFormatException unreadable) {
      Reason reason =
          unreadable.reason() == WireFormatException.Reason.UNKNOWN_VERSION
              ? Reason.UNKNOWN_VERSION
              : Reason.DAMAGED;
      return invalid(reason, String.valueOf(unreadable.getMessage()));
    }
    if (!record.key().isWritten(key)) {
      return invalid(Reason.WRONG_KEY, "key " + key + " on a record of " + record.key());
    }
    if (record.end().toEpochMilli() > now + clockSkew.toMillis()) {
      return invalid(Reason.IN_THE_FUTURE, "ends at " + record.end());
    }
    if (record.decisions() instanceof Combined combined) {
      return combined
          .usage()
          .contradiction()
          .<Verdict>map(contradiction -> invalid(Reason.INCONSISTENT, contradiction))
          .orElseGet(() -> new Valid(record));
    }
    return new Valid(record);
  }

  /** What counting the decisions one by one found. */
  static Rejection rejection(UsageRecord record, InvalidDecisionException invalid) {
    String detail = String.valueOf(invalid.getMessage());
    if (invalid.reason() == InvalidDecisionException.Reason.EXPERT_OUT_OF_RANGE) {
      return new Rejection(Reason.EXPERT_OUT_OF_RANGE, detail);
    }
    boolean allZero = record.decisions() instanceof PackedIds ids && ids.onlyExpertZero();
    return new Rejection(allZero ? Reason.ALL_ZERO : Reason.DUPLICATE_EXPERT, detail);
  }

  private static Invalid invalid(Reason reason, String detail) {
    return new Invalid(new Rejection(reason, detail));
  }
}
