package dev.smelt.store.safetensors;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.WritableByteChannel;
import java.util.List;

/**
 * A tensor that can be written.
 *
 * @param name unique in the file it is written to
 * @param dtype type of the elements
 * @param shape sizes of the dimensions, outermost first
 * @param bytes as many as type and shape take; whoever writes them checks it
 */
public record Tensor(String name, DType dtype, List<Long> shape, TensorBytes bytes) {

  private static final int CHUNK = 1 << 16;

  public Tensor {
    shape = List.copyOf(shape);
  }

  /** Number of bytes that type and shape take. */
  public long length() {
    return Shapes.bytes(dtype, shape);
  }

  /**
   * A floating-point tensor over the given array, which is encoded when it is written.
   *
   * @throws IllegalArgumentException if the shape does not fit the values
   */
  public static Tensor floats(String name, DType dtype, List<Long> shape, float[] values) {
    if (!dtype.floating()) {
      throw new IllegalArgumentException(name + ": " + dtype + " is not a floating-point type");
    }
    checkLength(name, dtype, shape, values.length);
    return chunked(
        name,
        dtype,
        shape,
        values.length,
        (buffer, first, count) -> Floats.encode(values, first, count, dtype, buffer));
  }

  /** An I32 tensor. */
  public static Tensor ints(String name, List<Long> shape, int[] values) {
    checkLength(name, DType.I32, shape, values.length);
    return chunked(
        name,
        DType.I32,
        shape,
        values.length,
        (buffer, first, count) -> {
          for (int i = 0; i < count; i++) {
            buffer.putInt(values[first + i]);
          }
        });
  }

  /** An I64 tensor. */
  public static Tensor longs(String name, List<Long> shape, long[] values) {
    checkLength(name, DType.I64, shape, values.length);
    return chunked(
        name,
        DType.I64,
        shape,
        values.length,
        (buffer, first, count) -> {
          for (int i = 0; i < count; i++) {
            buffer.putLong(values[first + i]);
          }
        });
  }

  /** An F64 tensor. */
  public static Tensor doubles(String name, List<Long> shape, double[] values) {
    checkLength(name, DType.F64, shape, values.length);
    return chunked(
        name,
        DType.F64,
        shape,
        values.length,
        (buffer, first, count) -> {
          for (int i = 0; i < count; i++) {
            buffer.putDouble(values[first + i]);
          }
        });
  }

  /** A tensor of raw bytes of any type. */
  public static Tensor raw(String name, DType dtype, List<Long> shape, byte[] bytes) {
    checkLength(name, dtype, shape, bytes.length / (long) dtype.bytes());
    return new Tensor(name, dtype, shape, channel -> writeFully(channel, ByteBuffer.wrap(bytes)));
  }

  /** A tensor of an open file, which must stay open until this one is written. */
  public static Tensor of(SafetensorsFile file, String name) {
    TensorInfo info = file.tensor(name);
    return new Tensor(
        name,
        info.dtype(),
        info.shape(),
        channel -> {
          for (long at = 0; at < info.bytes(); ) {
            int count = (int) Math.min(1 << 24, info.bytes() - at);
            writeFully(channel, file.bytes(name, at, count));
            at += count;
          }
        });
  }

  /** The same tensor under another name. */
  public Tensor named(String other) {
    return new Tensor(other, dtype, shape, bytes);
  }

  private static void checkLength(String name, DType dtype, List<Long> shape, long elements) {
    if (Shapes.bytes(dtype, shape) != elements * dtype.bytes()) {
      throw new IllegalArgumentException(
          name + ": shape " + shape + " does not fit " + elements + " elements");
    }
  }

  private interface Encoder {
    void encode(ByteBuffer buffer, int first, int count);
  }

  private static Tensor chunked(
      String name, DType dtype, List<Long> shape, int elements, Encoder encoder) {
    return new Tensor(
        name,
        dtype,
        shape,
        channel -> {
          int most = Math.min(CHUNK, elements);
          ByteBuffer buffer =
              ByteBuffer.allocateDirect(most * dtype.bytes()).order(ByteOrder.LITTLE_ENDIAN);
          for (int first = 0; first < elements; first += most) {
            buffer.clear();
            encoder.encode(buffer, first, Math.min(most, elements - first));
            writeFully(channel, buffer.flip());
          }
        });
  }

  private static void writeFully(WritableByteChannel channel, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }
}
