package dev.smelt.streams.drift;

import dev.smelt.streams.wire.FieldWriter;
import dev.smelt.streams.wire.WireFormatException;
import dev.smelt.streams.wire.WireFormatException.Reason;
import java.util.ArrayList;
import java.util.List;

/** Movers inside a record: two bytes an expert (low byte first), and two shares an expert. */
final class MoverFields {

  private byte[] experts = {};
  private double[] shares = {};

  static void write(FieldWriter out, List<Mover> movers, int expertsTag, int sharesTag) {
    byte[] experts = new byte[movers.size() * 2];
    double[] shares = new double[movers.size() * 2];
    for (int i = 0; i < movers.size(); i++) {
      Mover mover = movers.get(i);
      experts[2 * i] = (byte) mover.expert();
      experts[2 * i + 1] = (byte) (mover.expert() >>> Byte.SIZE);
      shares[2 * i] = mover.before();
      shares[2 * i + 1] = mover.now();
    }
    out.bytes(expertsTag, experts).reals(sharesTag, shares);
  }

  void experts(byte[] bytes) {
    experts = bytes;
  }

  void shares(double[] values) {
    shares = values;
  }

  List<Mover> movers() {
    if (experts.length != shares.length) {
      throw new WireFormatException(
          Reason.DAMAGED, experts.length / 2 + " movers with " + shares.length + " shares");
    }
    List<Mover> movers = new ArrayList<>();
    for (int at = 0; at + 1 < experts.length; at += 2) {
      int expert = (experts[at] & 0xff) | (experts[at + 1] & 0xff) << Byte.SIZE;
      movers.add(new Mover(expert, shares[at], shares[at + 1]));
    }
    return movers;
  }
}
