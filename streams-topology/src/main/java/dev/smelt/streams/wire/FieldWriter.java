package dev.smelt.streams.wire;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Writes a record: kind, major version, then fields as (tag, length, bytes).
 *
 * <p>Tags and lengths are variable-length integers of seven bits a byte, low bits first. A reader
 * skips the tags it doesn't know, which is what lets fields be added. Not for use by more than one
 * thread.
 */
public final class FieldWriter {

  /** Kind and major version, before the fields. */
  public static final int HEADER_BYTES = 2;

  /** Fewer values are not worth a plane. */
  private static final int PLANE_VALUES = 32;

  /** Bytes that a number takes, by its leading zeros. */
  private static final byte[] VARINT_BYTES = new byte[Long.SIZE + 1];

  static {
    for (int zeros = 0; zeros <= Long.SIZE; zeros++) {
      VARINT_BYTES[zeros] = (byte) Math.max(1, (Long.SIZE + 6 - zeros) / 7);
    }
  }

  private byte[] bytes = new byte[256];
  private int size;

  public FieldWriter(RecordKind kind) {
    byteValue(kind.code());
    byteValue(kind.majorVersion());
  }

  public FieldWriter text(int tag, String value) {
    byte[] utf8 = value.getBytes(StandardCharsets.UTF_8);
    return bytes(tag, utf8);
  }

  public FieldWriter bytes(int tag, byte[] value) {
    header(tag, value.length);
    reserve(value.length);
    System.arraycopy(value, 0, bytes, size, value.length);
    size += value.length;
    return this;
  }

  /** A number that is mostly small; negative ones take ten bytes. */
  public FieldWriter number(int tag, long value) {
    header(tag, varintBytes(value));
    varint(value);
    return this;
  }

  public FieldWriter real(int tag, double value) {
    return reals(tag, new double[] {value});
  }

  /** Doubles as little-endian IEEE 754. */
  public FieldWriter reals(int tag, double[] values) {
    int length = Math.multiplyExact(values.length, Double.BYTES);
    header(tag, length);
    room(length).asDoubleBuffer().put(values);
    size += length;
    return this;
  }

  /** Floats as little-endian IEEE 754. */
  public FieldWriter singles(int tag, float[] values) {
    int length = Math.multiplyExact(values.length, Float.BYTES);
    header(tag, length);
    room(length).asFloatBuffer().put(values);
    size += length;
    return this;
  }

  /**
   * Non-negative counts: one after another, each run of zeros as a zero and the run's length; or,
   * if that is not much longer, side by side as a {@link BytePlane}.
   */
  public FieldWriter counts(int tag, long[] values) {
    int listed = listedBytes(values);
    int plane = 2 + values.length + largeBytes(values);
    if (values.length >= PLANE_VALUES && plane <= listed + listed / 4) {
      header(tag, plane);
      reserve(plane);
      plane(values);
    } else {
      header(tag, listed);
      reserve(listed);
      list(values);
    }
    return this;
  }

  private static int listedBytes(long[] values) {
    int length = 0;
    int zeros = 0;
    for (long value : values) {
      if (value == 0) {
        zeros++;
      } else {
        length += zeros == 0 ? 0 : 1 + varintBytes(zeros);
        length += varintBytes(value);
        zeros = 0;
      }
    }
    return zeros == 0 ? length : length + 1 + varintBytes(zeros);
  }

  private void list(long[] values) {
    int at = size;
    int zeros = 0;
    for (long value : values) {
      if (value == 0) {
        zeros++;
      } else {
        if (zeros > 0) {
          bytes[at++] = 0;
          at = varint(zeros, at);
          zeros = 0;
        }
        at = varint(value, at);
      }
    }
    if (zeros > 0) {
      bytes[at++] = 0;
      at = varint(zeros, at);
    }
    size = at;
  }

  private static int largeBytes(long[] values) {
    int length = 0;
    int next = 0;
    for (int i = 0; i < values.length; i++) {
      if (values[i] >>> Byte.SIZE != 0) {
        length += varintBytes(i - next) + varintBytes(values[i] >>> Byte.SIZE);
        next = i + 1;
      }
    }
    return length;
  }

  /** Begins with a run of no zeros, which a list never does. */
  private void plane(long[] values) {
    int at = size;
    bytes[at++] = 0;
    bytes[at++] = 0;
    for (long value : values) {
      bytes[at++] = (byte) value;
    }
    int next = 0;
    for (int i = 0; i < values.length; i++) {
      if (values[i] >>> Byte.SIZE != 0) {
        at = varint(i - next, at);
        at = varint(values[i] >>> Byte.SIZE, at);
        next = i + 1;
      }
    }
    size = at;
  }

  public byte[] toBytes() {
    return Arrays.copyOf(bytes, size);
  }

  private void header(int tag, int length) {
    varint(tag);
    varint(length);
  }

  private void varint(long value) {
    reserve(10);
    size = varint(value, size);
  }

  /** Writes where there is room, and returns where it ends. */
  private int varint(long value, int begin) {
    byte[] into = bytes;
    int at = begin;
    long rest = value;
    while ((rest & ~0x7fL) != 0) {
      into[at++] = (byte) (rest | 0x80);
      rest >>>= 7;
    }
    into[at++] = (byte) rest;
    return at;
  }

  private static int varintBytes(long value) {
    return VARINT_BYTES[Long.numberOfLeadingZeros(value)];
  }

  private ByteBuffer room(int length) {
    reserve(length);
    return ByteBuffer.wrap(bytes, size, length).slice().order(ByteOrder.LITTLE_ENDIAN);
  }

  private void byteValue(int value) {
    reserve(1);
    bytes[size++] = (byte) value;
  }

  private void reserve(int more) {
    if (size + more > bytes.length) {
      bytes = Arrays.copyOf(bytes, Math.max(bytes.length * 2, size + more));
    }
  }
}
