package dev.smelt.streams.usage;

import dev.smelt.streams.wire.BytePlane;
import dev.smelt.streams.wire.FieldReader;
import dev.smelt.streams.wire.FieldWriter;
import dev.smelt.streams.wire.WireFormatException;
import dev.smelt.streams.wire.WireFormatException.Reason;
import org.jspecify.annotations.Nullable;

/**
 * The fields of a {@link Usage} inside a record. They use tags 16 to 31; other fields of such a
 * record use other tags.
 */
public final class UsageFields {

  private static final int EXPERTS = 16;
  private static final int TOP_K = 17;
  private static final int TOKENS = 18;
  private static final int REQUESTS = 19;
  private static final int COUNTS = 20;
  private static final int CO_ACTIVATION = 21;
  private static final int GATE_MASS = 22;
  private static final int LOGIT_GRAM = 23;
  private static final int OUTPUT_NORM = 24;
  private static final int PACKED_IDS = 25;

  private int experts;
  private int topK;
  private long tokens;
  private long requests;
  private long @Nullable [] counts;
  private @Nullable CoActivation coActivation;
  private double @Nullable [] gateMass;
  private double @Nullable [] logitGram;
  private double @Nullable [] outputNorm;
  private byte @Nullable [] packedIds;

  /** For reading: offer it every field, then ask for the result. */
  public UsageFields() {}

  /** Writes all fields of a usage. */
  public static void write(FieldWriter out, Usage usage) {
    out.number(EXPERTS, usage.experts()).number(TOP_K, usage.topK());
    out.number(TOKENS, usage.tokens()).number(REQUESTS, usage.requests());
    if (usage.tokens() > 0) {
      out.counts(COUNTS, usage.countsView());
      if (usage.topK() > 1) {
        out.counts(CO_ACTIVATION, usage.coActivation().view());
      }
    }
    writeIfKnown(out, GATE_MASS, usage.gateMassView());
    writeIfKnown(out, LOGIT_GRAM, usage.packedLogitGram());
    writeIfKnown(out, OUTPUT_NORM, usage.outputNormView());
  }

  static void write(FieldWriter out, Decisions decisions) {
    if (decisions instanceof Combined combined) {
      write(out, combined.usage());
    } else if (decisions instanceof PackedIds ids) {
      out.number(EXPERTS, ids.experts()).number(TOP_K, ids.topK());
      out.number(REQUESTS, ids.requests()).bytes(PACKED_IDS, ids.view());
    }
  }

  private static void writeIfKnown(FieldWriter out, int tag, double @Nullable [] values) {
    if (values != null) {
      out.reals(tag, values);
    }
  }

  /** Takes the field that the reader stands at, if it is one of a usage. */
  public void read(FieldReader in) {
    switch (in.tag()) {
      case EXPERTS -> {
        experts = in.smallNumber();
        requireShape(experts >= 1 && experts <= Usage.MAX_EXPERTS, experts + " experts");
      }
      case TOP_K -> topK = in.smallNumber();
      case TOKENS -> tokens = in.number();
      case REQUESTS -> requests = in.number();
      case COUNTS -> counts = in.counts(experts);
      case CO_ACTIVATION -> coActivation = coActivation(in);
      case GATE_MASS -> gateMass = in.reals();
      case LOGIT_GRAM -> logitGram = in.reals();
      case OUTPUT_NORM -> outputNorm = in.reals();
      case PACKED_IDS -> packedIds = in.bytes();
      default -> {
        // Another field of the record, or one of a later version.
      }
    }
  }

  private CoActivation coActivation(FieldReader in) {
    int size = Triangle.pairs(experts);
    BytePlane plane = in.plane(size);
    return plane == null
        ? new CoActivation(experts, in.counts(size))
        : new CoActivation(experts, plane);
  }

  /**
   * The usage that the fields describe.
   *
   * @throws WireFormatException if they contradict each other
   */
  public Usage usage() {
    requireShape(experts >= 1, "no number of experts");
    try {
      return new Usage(
          experts,
          topK,
          tokens,
          requests,
          counts == null ? new long[experts] : counts,
          coActivation == null
              ? new CoActivation(experts, new long[Triangle.pairs(experts)])
              : coActivation,
          gateMass,
          logitGram,
          outputNorm);
    } catch (IllegalArgumentException contradiction) {
      throw damaged(contradiction);
    }
  }

  Decisions decisions() {
    if (packedIds == null) {
      return new Combined(usage());
    }
    try {
      return new PackedIds(experts, topK, requests, packedIds);
    } catch (IllegalArgumentException contradiction) {
      throw damaged(contradiction);
    }
  }

  private static void requireShape(boolean holds, String found) {
    if (!holds) {
      throw new WireFormatException(
          Reason.DAMAGED, "found " + found + ", expected 1 to " + Usage.MAX_EXPERTS);
    }
  }

  private static WireFormatException damaged(IllegalArgumentException contradiction) {
    String message = contradiction.getMessage();
    return new WireFormatException(Reason.DAMAGED, message == null ? "contradiction" : message);
  }
}
