package dev.smelt.streams.drift;

import dev.smelt.streams.usage.LayerKey;
import dev.smelt.streams.wire.BinarySerde;
import dev.smelt.streams.wire.FieldReader;
import dev.smelt.streams.wire.FieldWriter;
import dev.smelt.streams.wire.RecordKind;
import java.time.Instant;
import org.apache.kafka.common.serialization.Serde;
import org.jspecify.annotations.Nullable;

/** The binary form of a {@link LayerEvidence}, on its way from the layers to their model. */
public final class LayerEvidenceFormat {

  private static final int MODEL = 1;
  private static final int LAYER = 2;
  private static final int SNAPSHOT = 3;
  private static final int WINDOW_START = 4;
  private static final int WINDOW_LENGTH = 5;
  private static final int STATUS = 6;
  private static final int SPREAD = 7;
  private static final int PROFILE = 8;
  private static final int WINDOW = 9;
  private static final int TOKENS = 10;
  private static final int REQUESTS = 11;
  private static final int EFFECTIVE_REQUESTS = 12;
  private static final int REFERENCE_WINDOWS = 13;
  private static final int MOVER_EXPERTS = 14;
  private static final int MOVER_SHARES = 15;

  private LayerEvidenceFormat() {}

  public static Serde<LayerEvidence> serde() {
    return new BinarySerde<>(LayerEvidenceFormat::write, LayerEvidenceFormat::read);
  }

  static byte[] write(LayerEvidence evidence) {
    long start = evidence.windowStart().toEpochMilli();
    FieldWriter out =
        new FieldWriter(RecordKind.EVIDENCE)
            .text(MODEL, evidence.key().model())
            .text(LAYER, evidence.key().layer())
            .text(SNAPSHOT, evidence.snapshot())
            .number(WINDOW_START, start)
            .number(WINDOW_LENGTH, evidence.windowEnd().toEpochMilli() - start)
            .number(STATUS, evidence.status().ordinal())
            .reals(PROFILE, parts(evidence.profile()))
            .number(TOKENS, evidence.tokens())
            .number(REQUESTS, evidence.requests())
            .real(EFFECTIVE_REQUESTS, evidence.effectiveRequests())
            .number(REFERENCE_WINDOWS, evidence.referenceWindows());
    Spread spread = evidence.spread();
    if (spread != null) {
      out.reals(
          SPREAD,
          new double[] {
            spread.mean(), spread.scaled(), spread.degrees(), spread.calibrationDegrees()
          });
    }
    SpanEvidence window = evidence.window();
    if (window != null) {
      out.reals(WINDOW, parts(window));
    }
    MoverFields.write(out, evidence.movers(), MOVER_EXPERTS, MOVER_SHARES);
    return out.toBytes();
  }

  static LayerEvidence read(byte[] bytes) {
    FieldReader in = new FieldReader(RecordKind.EVIDENCE, bytes);
    String model = "";
    String layer = "";
    String snapshot = "";
    long windowStart = 0;
    long windowLength = 0;
    Status status = Status.NO_BASELINE;
    @Nullable Spread spread = null;
    SpanEvidence profile = new SpanEvidence(0, 0);
    @Nullable SpanEvidence window = null;
    long tokens = 0;
    long requests = 0;
    double effectiveRequests = 0;
    int referenceWindows = 0;
    MoverFields movers = new MoverFields();
    while (in.next()) {
      switch (in.tag()) {
        case MODEL -> model = in.text();
        case LAYER -> layer = in.text();
        case SNAPSHOT -> snapshot = in.text();
        case WINDOW_START -> windowStart = in.number();
        case WINDOW_LENGTH -> windowLength = in.number();
        case STATUS -> status = DriftFormat.status(in.smallNumber());
        case SPREAD -> {
          double[] parts = in.reals(4);
          spread = new Spread(parts[0], parts[1], parts[2], parts[3]);
        }
        case PROFILE -> profile = span(in.reals(2));
        case WINDOW -> window = span(in.reals(2));
        case TOKENS -> tokens = in.number();
        case REQUESTS -> requests = in.number();
        case EFFECTIVE_REQUESTS -> effectiveRequests = in.real();
        case REFERENCE_WINDOWS -> referenceWindows = in.smallNumber();
        case MOVER_EXPERTS -> movers.experts(in.bytes());
        case MOVER_SHARES -> movers.shares(in.reals());
        default -> {
          // A field of a later version.
        }
      }
    }
    return new LayerEvidence(
        new LayerKey(model, layer),
        snapshot,
        Instant.ofEpochMilli(windowStart),
        Instant.ofEpochMilli(windowStart + windowLength),
        status,
        spread,
        profile,
        window,
        tokens,
        requests,
        effectiveRequests,
        referenceWindows,
        movers.movers());
  }

  private static double[] parts(SpanEvidence span) {
    return new double[] {span.divergence(), span.unit()};
  }

  private static SpanEvidence span(double[] parts) {
    return new SpanEvidence(parts[0], parts[1]);
  }
}
