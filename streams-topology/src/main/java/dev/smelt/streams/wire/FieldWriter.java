package dev.smelt.streams.wire;

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
    header(tag, Double.BYTES);
    real(value);
    return this;
  }

  /** Doubles as little-endian IEEE 754. */
  public FieldWriter reals(int tag, double[] values) {
    header(tag, Math.multiplyExact(values.length, Double.BYTES));
    for (double value : values) {
      real(value);
    }
    return this;
  }

  /** Floats as little-endian IEEE 754. */
  public FieldWriter singles(int tag, float[] values) {
    header(tag, Math.multiplyExact(values.length, Float.BYTES));
    for (float value : values) {
      littleEndian(Float.floatToRawIntBits(value), Float.BYTES);
    }
    return this;
  }

  /** Non-negative counts; each run of zeros takes two numbers, a zero and the run's length. */
  public FieldWriter counts(int tag, long[] values) {
    int tagAt = size;
    reserve(10);
    // The length is only known at the end: leave room for the largest header and close the gap.
    size += 10;
    int begin = size;
    int at = 0;
    while (at < values.length) {
      long value = values[at];
      varint(value);
      at++;
      if (value == 0) {
        int run = 1;
        while (at < values.length && values[at] == 0) {
          run++;
          at++;
        }
        varint(run);
      }
    }
    int length = size - begin;
    size = tagAt;
    header(tag, length);
    System.arraycopy(bytes, begin, bytes, size, length);
    size += length;
    return this;
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
    long rest = value;
    while ((rest & ~0x7fL) != 0) {
      bytes[size++] = (byte) (rest | 0x80);
      rest >>>= 7;
    }
    bytes[size++] = (byte) rest;
  }

  private static int varintBytes(long value) {
    return Math.max(1, (70 - Long.numberOfLeadingZeros(value)) / 7);
  }

  private void real(double value) {
    littleEndian(Double.doubleToRawLongBits(value), Double.BYTES);
  }

  private void littleEndian(long bits, int length) {
    reserve(length);
    for (int i = 0; i < length; i++) {
      bytes[size++] = (byte) (bits >>> (i * Byte.SIZE));
    }
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
