package dev.smelt.streams.wire;

import dev.smelt.streams.wire.WireFormatException.Reason;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Reads what {@link FieldWriter} wrote, field by field:
 *
 * <pre>{@code
 * FieldReader in = new FieldReader(RecordKind.PROFILE, bytes);
 * while (in.next()) {
 *   switch (in.tag()) {
 *     case 1 -> model = in.text();
 *     default -> {} // a field of a later minor version
 *   }
 * }
 * }</pre>
 *
 * <p>Every method throws {@link WireFormatException} on damaged input, and none reads or allocates
 * beyond what the input's own length allows for.
 */
public final class FieldReader {

  private final byte[] bytes;
  private int at = 2;
  private int tag;
  private int end = 2;
  private int large;
  private long rest;

  /**
   * @throws WireFormatException if the bytes are another kind of record, or of a newer major
   *     version
   */
  public FieldReader(RecordKind kind, byte[] bytes) {
    if (bytes.length < 2) {
      throw new WireFormatException(Reason.DAMAGED, "a record of " + bytes.length + " bytes");
    }
    if (bytes[0] != kind.code()) {
      throw new WireFormatException(
          Reason.WRONG_KIND,
          "expected a " + kind + " record, found kind byte " + (bytes[0] & 0xff));
    }
    if (bytes[1] != kind.majorVersion()) {
      throw new WireFormatException(
          Reason.UNKNOWN_VERSION,
          kind
              + " record of major version "
              + (bytes[1] & 0xff)
              + ", this build reads version "
              + kind.majorVersion());
    }
    this.bytes = bytes;
  }

  /** Moves to the next field; false at the end of the record. */
  public boolean next() {
    at = end;
    if (at == bytes.length) {
      return false;
    }
    end = bytes.length;
    tag = intVarint();
    int length = intVarint();
    if (length > bytes.length - at) {
      throw damaged("a length of " + length + " with " + (bytes.length - at) + " bytes left");
    }
    end = at + length;
    return true;
  }

  public int tag() {
    return tag;
  }

  public String text() {
    return new String(bytes, at, end - at, StandardCharsets.UTF_8);
  }

  public byte[] bytes() {
    return Arrays.copyOfRange(bytes, at, end);
  }

  public long number() {
    return varint();
  }

  public int smallNumber() {
    return intVarint();
  }

  public double real() {
    expect(Double.BYTES);
    return field().getDouble();
  }

  public double[] reals() {
    if ((end - at) % Double.BYTES != 0) {
      throw damaged((end - at) + " bytes are not a whole number of doubles");
    }
    double[] values = new double[(end - at) / Double.BYTES];
    field().asDoubleBuffer().get(values);
    return values;
  }

  /** Doubles, of which there must be exactly so many. */
  public double[] reals(int expected) {
    expect(expected * Double.BYTES);
    return reals();
  }

  public float[] singles() {
    if ((end - at) % Float.BYTES != 0) {
      throw damaged((end - at) + " bytes are not a whole number of floats");
    }
    float[] values = new float[(end - at) / Float.BYTES];
    field().asFloatBuffer().get(values);
    return values;
  }

  /**
   * Counts, of which there must be exactly so many.
   *
   * @param expected how many; the caller has bounded it
   */
  public long[] counts(int expected) {
    if (!atPlane()) {
      return listed(expected);
    }
    int begin = enterPlane(expected);
    long[] values = new long[expected];
    for (int i = 0; i < expected; i++) {
      values[i] = bytes[begin + i] & 0xff;
    }
    large = -1;
    while (nextLarge(expected)) {
      values[large] += rest;
    }
    return values;
  }

  /**
   * Counts whose low bytes lie side by side, of which there must be exactly so many; null if they
   * are written one after another, for {@link #counts} to read.
   */
  public @Nullable BytePlane plane(int expected) {
    if (!atPlane()) {
      return null;
    }
    int begin = enterPlane(expected);
    int[] positions = new int[(end - at) / 2];
    long[] rests = new long[positions.length];
    int found = 0;
    large = -1;
    while (nextLarge(expected)) {
      positions[found] = large;
      rests[found++] = rest;
    }
    return new BytePlane(bytes, begin, expected, positions, rests, found);
  }

  private boolean atPlane() {
    return end - at >= 2 && bytes[at] == 0 && bytes[at + 1] == 0;
  }

  /** Moves behind the low bytes, and returns where they begin. */
  private int enterPlane(int expected) {
    int begin = at + 2;
    if (end - begin < expected) {
      throw damaged("found " + (end - begin) + " counts, expected " + expected);
    }
    at = begin + expected;
    return begin;
  }

  /** Reads the position of the next count of 256 or more, and what to add to its low byte. */
  private boolean nextLarge(int expected) {
    if (at >= end) {
      return false;
    }
    long gap = bytes[at];
    long high = at + 1 < end ? bytes[at + 1] : -1;
    if (gap >= 0 && high >= 0) {
      at += 2;
    } else {
      gap = intVarint();
      high = varint();
    }
    if (gap >= expected - large - 1 || high <= 0 || high > Long.MAX_VALUE >>> Byte.SIZE) {
      throw damaged("a large count that can't be");
    }
    large += (int) gap + 1;
    rest = high << Byte.SIZE;
    return true;
  }

  private long[] listed(int expected) {
    long[] values = new long[expected];
    int position = at;
    int filled = 0;
    while (position < end) {
      if (filled >= expected) {
        throw damaged("more than " + expected + " counts");
      }
      long value = bytes[position++];
      if (value < 0) {
        value &= 0x7f;
        int shift = 7;
        byte next;
        do {
          if (position >= end || shift > 56) {
            throw damaged("a count runs past its field");
          }
          next = bytes[position++];
          value |= (long) (next & 0x7f) << shift;
          shift += 7;
        } while (next < 0);
      }
      if (value != 0) {
        values[filled++] = value;
      } else {
        at = position;
        int run = intVarint();
        position = at;
        if (run < 1 || run > expected - filled) {
          throw damaged("a run of " + run + " zeros with " + (expected - filled) + " counts left");
        }
        filled += run;
      }
    }
    if (filled != expected) {
      throw damaged("found " + filled + " counts, expected " + expected);
    }
    return values;
  }

  private int intVarint() {
    long value = varint();
    if (value < 0 || value > Integer.MAX_VALUE) {
      throw damaged("the number " + value + " is out of range");
    }
    return (int) value;
  }

  private long varint() {
    if (at < end && bytes[at] >= 0) {
      return bytes[at++];
    }
    return longVarint();
  }

  private long longVarint() {
    long value = 0;
    for (int shift = 0; shift < Long.SIZE; shift += 7) {
      if (at >= end) {
        throw damaged("a number runs past its field");
      }
      byte next = bytes[at++];
      value |= (long) (next & 0x7f) << shift;
      if (next >= 0) {
        return value;
      }
    }
    throw damaged("a number of more than ten bytes");
  }

  private void expect(int length) {
    if (end - at != length) {
      throw damaged("a field of " + (end - at) + " bytes, expected " + length);
    }
  }

  private ByteBuffer field() {
    return ByteBuffer.wrap(bytes, at, end - at).slice().order(ByteOrder.LITTLE_ENDIAN);
  }

  private WireFormatException damaged(String what) {
    return new WireFormatException(Reason.DAMAGED, "field " + tag + ": " + what);
  }
}
