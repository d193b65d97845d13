package dev.smelt.streams.drift;

import dev.smelt.streams.usage.LayerKey;
import dev.smelt.streams.wire.BinarySerde;
import dev.smelt.streams.wire.FieldReader;
import dev.smelt.streams.wire.FieldWriter;
import dev.smelt.streams.wire.RecordKind;
import dev.smelt.streams.wire.WireFormatException;
import dev.smelt.streams.wire.WireFormatException.Reason;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.serialization.Serde;

/** The binary form of a {@link Drift}, described in FORMAT.md. */
public final class DriftFormat {

  private static final int MODEL = 1;
  private static final int LAYER = 2;
  private static final int SNAPSHOT = 3;
  private static final int WINDOW_START = 4;
  private static final int WINDOW_LENGTH = 5;
  private static final int TOKENS = 6;
  private static final int REQUESTS = 7;
  private static final int EFFECTIVE_REQUESTS = 8;
  private static final int BREACHED = 9;
  private static final int STATUS = 10;
  private static final int PROFILE = 11;
  private static final int WINDOW = 12;
  private static final int REFERENCE_WINDOWS = 13;
  private static final int MOVER_EXPERTS = 14;
  private static final int MOVER_SHARES = 15;
  private static final int DECIDING_LAYER = 16;
  private static final int VALUES = 17;
  private static final int LAYERS = 18;
  private static final int JUDGED_LAYERS = 19;
  private static final int BREACHED_LAYER = 20;

  private DriftFormat() {}

  /** For values of topic {@code smelt.drift}. */
  public static Serde<Drift> serde() {
    return new BinarySerde<>(DriftFormat::write, DriftFormat::read);
  }

  static byte[] write(Drift drift) {
    FieldWriter out =
        new FieldWriter(RecordKind.DRIFT)
            .text(MODEL, drift.model())
            .text(SNAPSHOT, drift.snapshot())
            .number(WINDOW_START, drift.windowStart().toEpochMilli())
            .number(
                WINDOW_LENGTH,
                drift.windowEnd().toEpochMilli() - drift.windowStart().toEpochMilli())
            .number(TOKENS, drift.tokens())
            .number(REQUESTS, drift.requests())
            .number(BREACHED, drift.breached() ? 1 : 0);
    if (drift instanceof LayerDrift layer) {
      writeLayer(out, layer);
    } else if (drift instanceof ModelDrift model) {
      writeModel(out, model);
    }
    return out.toBytes();
  }

  private static void writeLayer(FieldWriter out, LayerDrift layer) {
    out.text(LAYER, layer.key().layer())
        .real(EFFECTIVE_REQUESTS, layer.effectiveRequests())
        .number(STATUS, layer.status().ordinal())
        .reals(PROFILE, parts(layer.profile()))
        .reals(WINDOW, parts(layer.window()))
        .number(REFERENCE_WINDOWS, layer.referenceWindows());
    MoverFields.write(out, layer.movers(), MOVER_EXPERTS, MOVER_SHARES);
  }

  private static void writeModel(FieldWriter out, ModelDrift model) {
    out.text(DECIDING_LAYER, model.decidingLayer())
        .real(EFFECTIVE_REQUESTS, model.effectiveRequests())
        .reals(VALUES, new double[] {model.value(), model.threshold(), model.meanValue()})
        .number(LAYERS, model.layers())
        .number(JUDGED_LAYERS, model.judgedLayers());
    model.breachedLayers().forEach(name -> out.text(BREACHED_LAYER, name));
  }

  static Drift read(byte[] bytes) {
    FieldReader in = new FieldReader(RecordKind.DRIFT, bytes);
    String model = "";
    String layer = "";
    String snapshot = "";
    long windowStart = 0;
    long windowLength = 0;
    long tokens = 0;
    long requests = 0;
    double effectiveRequests = 0;
    boolean breached = false;
    Status status = Status.NO_BASELINE;
    Distance profile = SpanEvidence.UNKNOWN;
    Distance window = SpanEvidence.UNKNOWN;
    int referenceWindows = 0;
    MoverFields movers = new MoverFields();
    String decidingLayer = "";
    double[] values = {0, 1, 0};
    int layers = 0;
    int judgedLayers = 0;
    List<String> breachedLayers = new ArrayList<>();
    while (in.next()) {
      switch (in.tag()) {
        case MODEL -> model = in.text();
        case LAYER -> layer = in.text();
        case SNAPSHOT -> snapshot = in.text();
        case WINDOW_START -> windowStart = in.number();
        case WINDOW_LENGTH -> windowLength = in.number();
        case TOKENS -> tokens = in.number();
        case REQUESTS -> requests = in.number();
        case EFFECTIVE_REQUESTS -> effectiveRequests = in.real();
        case BREACHED -> breached = in.number() != 0;
        case STATUS -> status = status(in.smallNumber());
        case PROFILE -> profile = distance(in.reals(4));
        case WINDOW -> window = distance(in.reals(4));
        case REFERENCE_WINDOWS -> referenceWindows = in.smallNumber();
        case MOVER_EXPERTS -> movers.experts(in.bytes());
        case MOVER_SHARES -> movers.shares(in.reals());
        case DECIDING_LAYER -> decidingLayer = in.text();
        case VALUES -> values = in.reals(3);
        case LAYERS -> layers = in.smallNumber();
        case JUDGED_LAYERS -> judgedLayers = in.smallNumber();
        case BREACHED_LAYER -> breachedLayers.add(in.text());
        default -> {
          // A field of a later version.
        }
      }
    }
    Instant start = Instant.ofEpochMilli(windowStart);
    Instant end = Instant.ofEpochMilli(windowStart + windowLength);
    if (layer.isEmpty()) {
      return new ModelDrift(
          model,
          snapshot,
          start,
          end,
          decidingLayer,
          values[0],
          values[1],
          values[2],
          tokens,
          requests,
          effectiveRequests,
          layers,
          judgedLayers,
          breachedLayers,
          breached);
    }
    return new LayerDrift(
        new LayerKey(model, layer),
        snapshot,
        start,
        end,
        status,
        profile,
        window,
        tokens,
        requests,
        effectiveRequests,
        referenceWindows,
        breached,
        movers.movers());
  }

  private static double[] parts(Distance distance) {
    return new double[] {
      distance.value(), distance.threshold(), distance.uncorrected(), distance.pValue()
    };
  }

  private static Distance distance(double[] parts) {
    return new Distance(parts[0], parts[1], parts[2], parts[3]);
  }

  static Status status(int ordinal) {
    if (ordinal >= Status.values().length) {
      throw new WireFormatException(Reason.DAMAGED, "unknown status " + ordinal);
    }
    return Status.values()[ordinal];
  }
}
