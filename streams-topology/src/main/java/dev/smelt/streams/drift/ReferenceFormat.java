package dev.smelt.streams.drift;

import dev.smelt.streams.drift.Reference.Shares;
import dev.smelt.streams.wire.BinarySerde;
import dev.smelt.streams.wire.FieldReader;
import dev.smelt.streams.wire.FieldWriter;
import dev.smelt.streams.wire.RecordKind;
import dev.smelt.streams.wire.WireFormatException;
import dev.smelt.streams.wire.WireFormatException.Reason;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.serialization.Serde;

/** The binary form of a {@link Reference}, in its store. */
public final class ReferenceFormat {

  private static final int EXPERTS = 1;
  private static final int OBSERVED = 2;
  private static final int REQUESTS = 3;
  private static final int FREQUENCY = 4;
  private static final int DIFFERENCE = 5;
  private static final int ENERGIES = 6;

  private ReferenceFormat() {}

  public static Serde<Reference> serde() {
    return new BinarySerde<>(ReferenceFormat::write, ReferenceFormat::read);
  }

  static byte[] write(Reference reference) {
    FieldWriter out =
        new FieldWriter(RecordKind.REFERENCE)
            .number(EXPERTS, reference.experts())
            .number(OBSERVED, reference.observed());
    for (Shares shares : reference.recent()) {
      out.real(REQUESTS, shares.requests()).singles(FREQUENCY, shares.frequency());
    }
    for (float[] difference : reference.differences()) {
      out.singles(DIFFERENCE, difference);
    }
    return out.reals(ENERGIES, reference.energies()).toBytes();
  }

  static Reference read(byte[] bytes) {
    FieldReader in = new FieldReader(RecordKind.REFERENCE, bytes);
    int experts = 0;
    long observed = 0;
    double requests = 0;
    List<Shares> recent = new ArrayList<>();
    List<float[]> differences = new ArrayList<>();
    double[] energies = {};
    while (in.next()) {
      switch (in.tag()) {
        case EXPERTS -> experts = in.smallNumber();
        case OBSERVED -> observed = in.number();
        case REQUESTS -> requests = in.real();
        case FREQUENCY -> recent.add(new Shares(requests, perExpert(in.singles(), experts)));
        case DIFFERENCE -> differences.add(perExpert(in.singles(), experts));
        case ENERGIES -> energies = in.reals();
        default -> {
          // A field of a later version.
        }
      }
    }
    return new Reference(
        experts, observed, List.copyOf(recent), List.copyOf(differences), energies);
  }

  private static float[] perExpert(float[] values, int experts) {
    if (values.length != experts) {
      throw new WireFormatException(
          Reason.DAMAGED, values.length + " values for " + experts + " experts");
    }
    return values;
  }
}
