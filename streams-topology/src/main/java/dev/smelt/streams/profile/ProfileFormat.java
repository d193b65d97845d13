package dev.smelt.streams.profile;

import dev.smelt.streams.usage.LayerKey;
import dev.smelt.streams.usage.Triangle;
import dev.smelt.streams.wire.BinarySerde;
import dev.smelt.streams.wire.FieldReader;
import dev.smelt.streams.wire.FieldWriter;
import dev.smelt.streams.wire.RecordKind;
import dev.smelt.streams.wire.WireFormatException;
import dev.smelt.streams.wire.WireFormatException.Reason;
import java.time.Instant;
import org.apache.kafka.common.serialization.Serde;
import org.jspecify.annotations.Nullable;

/** The binary form of a {@link Profile}, described in FORMAT.md. */
public final class ProfileFormat {

  private static final int MODEL = 1;
  private static final int LAYER = 2;
  private static final int AS_OF = 3;
  private static final int EXPERTS = 4;
  private static final int TOP_K = 5;
  private static final int WINDOWS = 6;
  private static final int TOKENS = 7;
  private static final int REQUESTS = 8;
  private static final int SQUARED_REQUESTS = 9;
  private static final int COUNTS = 10;
  private static final int CO_ACTIVATION = 11;
  private static final int GATE_MASS = 12;
  private static final int LOGIT_GRAM = 13;
  private static final int OUTPUT_NORM = 14;

  private ProfileFormat() {}

  /** For the store of profiles. */
  public static Serde<Profile> serde() {
    return new BinarySerde<>(ProfileFormat::write, ProfileFormat::read);
  }

  static byte[] write(Profile profile) {
    FieldWriter out =
        new FieldWriter(RecordKind.PROFILE)
            .text(MODEL, profile.key().model())
            .text(LAYER, profile.key().layer())
            .number(AS_OF, profile.asOf().toEpochMilli())
            .number(EXPERTS, profile.experts())
            .number(TOP_K, profile.topK())
            .number(WINDOWS, profile.windows())
            .real(TOKENS, profile.tokens())
            .real(REQUESTS, profile.requests())
            .real(SQUARED_REQUESTS, profile.squaredRequests())
            .reals(COUNTS, profile.counts());
    if (profile.topK() > 1) {
      out.reals(CO_ACTIVATION, profile.packedPairs());
    }
    profile.gateMass().ifPresent(mass -> out.reals(GATE_MASS, mass));
    double @Nullable [] gram = profile.packedLogitGram();
    if (gram != null) {
      out.reals(LOGIT_GRAM, gram);
    }
    profile.outputNorm().ifPresent(norm -> out.reals(OUTPUT_NORM, norm));
    return out.toBytes();
  }

  static Profile read(byte[] bytes) {
    FieldReader in = new FieldReader(RecordKind.PROFILE, bytes);
    String model = "";
    String layer = "";
    long asOf = 0;
    int experts = 0;
    int topK = 0;
    long windows = 0;
    double tokens = 0;
    double requests = 0;
    double squaredRequests = 0;
    double[] counts = {};
    double @Nullable [] pairs = null;
    double @Nullable [] gateMass = null;
    double @Nullable [] logitGram = null;
    double @Nullable [] outputNorm = null;
    while (in.next()) {
      switch (in.tag()) {
        case MODEL -> model = in.text();
        case LAYER -> layer = in.text();
        case AS_OF -> asOf = in.number();
        case EXPERTS -> experts = in.smallNumber();
        case TOP_K -> topK = in.smallNumber();
        case WINDOWS -> windows = in.number();
        case TOKENS -> tokens = in.real();
        case REQUESTS -> requests = in.real();
        case SQUARED_REQUESTS -> squaredRequests = in.real();
        case COUNTS -> counts = in.reals();
        case CO_ACTIVATION -> pairs = in.reals();
        case GATE_MASS -> gateMass = in.reals();
        case LOGIT_GRAM -> logitGram = in.reals();
        case OUTPUT_NORM -> outputNorm = in.reals();
        default -> {
          // A field of a later version.
        }
      }
    }
    if (counts.length != experts || (pairs != null && pairs.length != Triangle.pairs(experts))) {
      throw new WireFormatException(
          Reason.DAMAGED, "a profile of " + experts + " experts with " + counts.length + " counts");
    }
    return new Profile(
        new LayerKey(model, layer),
        Instant.ofEpochMilli(asOf),
        experts,
        topK,
        windows,
        tokens,
        requests,
        squaredRequests,
        counts,
        pairs == null ? new double[Triangle.pairs(experts)] : pairs,
        gateMass,
        logitGram,
        outputNorm);
  }
}
