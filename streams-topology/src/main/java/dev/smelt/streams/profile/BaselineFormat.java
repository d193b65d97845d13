package dev.smelt.streams.profile;

import dev.smelt.streams.usage.LayerKey;
import dev.smelt.streams.wire.BinarySerde;
import dev.smelt.streams.wire.FieldReader;
import dev.smelt.streams.wire.FieldWriter;
import dev.smelt.streams.wire.RecordKind;
import java.time.Instant;
import org.apache.kafka.common.serialization.Serde;

/** The binary form of a {@link Baseline}, described in FORMAT.md. */
public final class BaselineFormat {

  private static final int MODEL = 1;
  private static final int LAYER = 2;
  private static final int SNAPSHOT = 3;
  private static final int ACTIVATED_AT = 4;
  private static final int FREQUENCY = 5;
  private static final int TOKENS = 6;
  private static final int EFFECTIVE_REQUESTS = 7;

  private BaselineFormat() {}

  /** For values of topic {@code smelt.baseline}. */
  public static Serde<Baseline> serde() {
    return new BinarySerde<>(BaselineFormat::write, BaselineFormat::read);
  }

  static byte[] write(Baseline baseline) {
    return new FieldWriter(RecordKind.BASELINE)
        .text(MODEL, baseline.key().model())
        .text(LAYER, baseline.key().layer())
        .text(SNAPSHOT, baseline.snapshot())
        .number(ACTIVATED_AT, baseline.activatedAt().toEpochMilli())
        .reals(FREQUENCY, baseline.frequency())
        .real(TOKENS, baseline.tokens())
        .real(EFFECTIVE_REQUESTS, baseline.effectiveRequests())
        .toBytes();
  }

  static Baseline read(byte[] bytes) {
    FieldReader in = new FieldReader(RecordKind.BASELINE, bytes);
    String model = "";
    String layer = "";
    String snapshot = "";
    long activatedAt = 0;
    double[] frequency = {};
    double tokens = 0;
    double effectiveRequests = 0;
    while (in.next()) {
      switch (in.tag()) {
        case MODEL -> model = in.text();
        case LAYER -> layer = in.text();
        case SNAPSHOT -> snapshot = in.text();
        case ACTIVATED_AT -> activatedAt = in.number();
        case FREQUENCY -> frequency = in.reals();
        case TOKENS -> tokens = in.real();
        case EFFECTIVE_REQUESTS -> effectiveRequests = in.real();
        default -> {
          // A field of a later version.
        }
      }
    }
    return new Baseline(
        new LayerKey(model, layer),
        snapshot,
        Instant.ofEpochMilli(activatedAt),
        frequency,
        tokens,
        effectiveRequests);
  }
}
