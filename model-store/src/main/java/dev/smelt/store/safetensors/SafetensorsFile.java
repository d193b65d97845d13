package dev.smelt.store.safetensors;

import java.io.EOFException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * An open safetensors file. Opening reads and validates the header alone; tensor bytes are mapped
 * on demand. Safe for use by several threads.
 *
 * <p>Failure semantics: a file that another process truncates while it is open makes later reads
 * fail with {@link InternalError}; files of a serving model are replaced by rename, never changed
 * in place.
 */
public final class SafetensorsFile implements AutoCloseable {

  private static final int LENGTH_PREFIX = 8;

  /**
   * Window i covers bytes [i, i + 2) times this, so that every slice of at most this length lies
   * inside the window that its first byte falls in.
   */
  private static final long WINDOW_STEP = 1L << 30;

  private final Path path;
  private final FileChannel channel;
  private final long size;
  private final ByteBuffer headerBytes;
  private final Header header;
  private final Map<Long, ByteBuffer> windows = new ConcurrentHashMap<>();

  private SafetensorsFile(Path path, FileChannel channel) throws IOException {
    this.path = path;
    this.channel = channel;
    this.size = channel.size();
    this.headerBytes = readHeader();
    this.header = Header.parse(path, headerBytes, size - dataStart());
  }

  /**
   * Opens a file and validates its header.
   *
   * @throws SafetensorsException if the file is malformed
   * @throws UncheckedIOException if it cannot be read
   */
  @SuppressWarnings("MustBeClosed")
  public static SafetensorsFile open(Path file) {
    @Nullable FileChannel channel = null;
    try {
      channel = FileChannel.open(file, StandardOpenOption.READ);
      SafetensorsFile opened = new SafetensorsFile(file, channel);
      channel = null;
      return opened;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } finally {
      closeQuietly(channel);
    }
  }

  private static void closeQuietly(@Nullable FileChannel channel) {
    if (channel != null) {
      try {
        channel.close();
      } catch (IOException ignored) {
        // The failure that led here is the one to report.
      }
    }
  }

  private ByteBuffer readHeader() throws IOException {
    if (size < LENGTH_PREFIX) {
      throw new SafetensorsException(
          path, "has " + size + " bytes, too few for a safetensors file");
    }
    ByteBuffer prefix = read(0, LENGTH_PREFIX);
    long length = prefix.getLong();
    if (length < 0 || length > Header.LONGEST) {
      throw new SafetensorsException(
          path,
          "states a header of "
              + Long.toUnsignedString(length)
              + " bytes, more than "
              + Header.LONGEST
              + "; it is probably no safetensors file");
    }
    if (length > size - LENGTH_PREFIX) {
      throw new SafetensorsException(
          path, "states a header of " + length + " bytes, the file has only " + size);
    }
    return read(LENGTH_PREFIX, (int) length);
  }

  private ByteBuffer read(long position, int length) throws IOException {
    ByteBuffer into = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
    while (into.hasRemaining()) {
      if (channel.read(into, position + into.position()) < 0) {
        throw new EOFException(path + ": ends early");
      }
    }
    return into.flip();
  }

  private long dataStart() {
    return LENGTH_PREFIX + (long) headerBytes.limit();
  }

  public Path path() {
    return path;
  }

  /** Length of the file in bytes. */
  public long size() {
    return size;
  }

  /** The header as it stands in the file, padding included, without its length prefix. */
  public ByteBuffer headerBytes() {
    return headerBytes.asReadOnlyBuffer();
  }

  /** The {@code __metadata__} map, empty if there is none. */
  public Map<String, String> metadata() {
    return header.metadata();
  }

  /** All tensors by name, in the order of their bytes. */
  public Map<String, TensorInfo> tensors() {
    return header.tensors();
  }

  /**
   * One tensor.
   *
   * @throws SafetensorsException if there is none of that name
   */
  public TensorInfo tensor(String name) {
    TensorInfo tensor = header.tensors().get(name);
    if (tensor == null) {
      throw new SafetensorsException(path, name, "no such tensor");
    }
    return tensor;
  }

  /**
   * Bytes of a tensor, without copying.
   *
   * @param offset first byte, counted from the start of the tensor
   * @return a read-only little-endian buffer of exactly {@code length} bytes
   * @throws IndexOutOfBoundsException if the range leaves the tensor
   */
  public ByteBuffer bytes(String name, long offset, int length) {
    TensorInfo tensor = tensor(name);
    Objects.checkFromIndexSize(offset, length, tensor.bytes());
    long start = dataStart() + tensor.begin() + offset;
    if (length > WINDOW_STEP) {
      return map(start, length);
    }
    long index = start / WINDOW_STEP;
    ByteBuffer window = windows.computeIfAbsent(index, this::window);
    return window.slice((int) (start - index * WINDOW_STEP), length).order(ByteOrder.LITTLE_ENDIAN);
  }

  private ByteBuffer window(long index) {
    long start = index * WINDOW_STEP;
    return map(start, (int) Math.min(Integer.MAX_VALUE, size - start));
  }

  private ByteBuffer map(long start, int length) {
    try {
      return channel
          .map(FileChannel.MapMode.READ_ONLY, start, length)
          .order(ByteOrder.LITTLE_ENDIAN);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * All elements of a floating-point tensor, widened or narrowed to 32 bits.
   *
   * @throws SafetensorsException if the tensor is not floating-point or has more than 2^31-1
   *     elements
   */
  public float[] floats(String name) {
    float[] values = new float[arrayLength(tensor(name))];
    floats(name, 0, values, 0, values.length);
    return values;
  }

  /**
   * A run of elements of a floating-point tensor.
   *
   * @param firstElement index in the flattened tensor
   * @param into receives {@code count} values from index {@code at}
   */
  public void floats(String name, long firstElement, float[] into, int at, int count) {
    TensorInfo tensor = tensor(name);
    if (!tensor.dtype().floating()) {
      throw new SafetensorsException(path, name, "is " + tensor.dtype() + ", not floating-point");
    }
    Objects.checkFromIndexSize(firstElement, count, tensor.elements());
    forEachSlice(
        tensor,
        firstElement,
        count,
        (bytes, done, elements) -> Floats.decode(bytes, tensor.dtype(), into, at + done, elements));
  }

  /**
   * All elements of an integer tensor.
   *
   * @throws SafetensorsException if it is not an integer tensor or a value does not fit 32 bits
   */
  public int[] ints(String name) {
    long[] wide = longs(name);
    int[] values = new int[wide.length];
    for (int i = 0; i < wide.length; i++) {
      if (wide[i] != (int) wide[i]) {
        throw new SafetensorsException(path, name, wide[i] + " does not fit 32 bits");
      }
      values[i] = (int) wide[i];
    }
    return values;
  }

  /**
   * All elements of an integer tensor.
   *
   * @throws SafetensorsException if it is not an integer tensor or a value does not fit 63 bits
   */
  public long[] longs(String name) {
    TensorInfo tensor = tensor(name);
    if (tensor.dtype().floating()) {
      throw new SafetensorsException(path, name, "is " + tensor.dtype() + ", not integer");
    }
    long[] values = new long[arrayLength(tensor)];
    forEachSlice(
        tensor,
        0,
        values.length,
        (bytes, done, elements) -> {
          for (int i = 0; i < elements; i++) {
            values[done + i] = integer(tensor, bytes);
          }
        });
    return values;
  }

  private long integer(TensorInfo tensor, ByteBuffer bytes) {
    return switch (tensor.dtype()) {
      case BOOL, U8 -> bytes.get() & 0xffL;
      case I8 -> bytes.get();
      case U16 -> bytes.getShort() & 0xffffL;
      case I16 -> bytes.getShort();
      case U32 -> bytes.getInt() & 0xffff_ffffL;
      case I32 -> bytes.getInt();
      case I64 -> bytes.getLong();
      case U64 -> {
        long value = bytes.getLong();
        if (value < 0) {
          throw new SafetensorsException(
              path, tensor.name(), Long.toUnsignedString(value) + " does not fit 63 bits");
        }
        yield value;
      }
      default -> throw new IllegalStateException(tensor.dtype() + " is no integer type");
    };
  }

  /** All elements of a tensor of any type, as 64-bit floating-point numbers. */
  public double[] doubles(String name) {
    TensorInfo tensor = tensor(name);
    double[] values = new double[arrayLength(tensor)];
    if (tensor.dtype() == DType.F64) {
      forEachSlice(
          tensor,
          0,
          values.length,
          (bytes, done, elements) -> bytes.asDoubleBuffer().get(values, done, elements));
    } else if (tensor.dtype().floating()) {
      float[] narrow = floats(name);
      for (int i = 0; i < narrow.length; i++) {
        values[i] = narrow[i];
      }
    } else {
      long[] integers = longs(name);
      for (int i = 0; i < integers.length; i++) {
        values[i] = integers[i];
      }
    }
    return values;
  }

  private interface SliceReader {
    void read(ByteBuffer bytes, int done, int elements);
  }

  private void forEachSlice(TensorInfo tensor, long first, int count, SliceReader reader) {
    int width = tensor.dtype().bytes();
    int most = (int) (WINDOW_STEP / width);
    for (int done = 0; done < count; ) {
      int elements = Math.min(most, count - done);
      reader.read(bytes(tensor.name(), (first + done) * width, elements * width), done, elements);
      done += elements;
    }
  }

  private int arrayLength(TensorInfo tensor) {
    if (tensor.elements() > Integer.MAX_VALUE - 8) {
      throw new SafetensorsException(
          path,
          tensor.name(),
          "has " + tensor.elements() + " elements, too many to read at once; read it in runs");
    }
    return (int) tensor.elements();
  }

  /** Closes the file. Buffers handed out stay readable. */
  @Override
  public void close() {
    windows.clear();
    try {
      channel.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
