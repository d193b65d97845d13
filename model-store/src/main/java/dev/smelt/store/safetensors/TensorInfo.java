package dev.smelt.store.safetensors;

import java.util.List;

/**
 * What a header says about one tensor.
 *
 * @param name unique in its file
 * @param dtype type of the elements
 * @param shape sizes of the dimensions, outermost first; empty for a scalar
 * @param begin first byte, counted from the start of the data
 * @param end the byte after the last one
 */
public record TensorInfo(String name, DType dtype, List<Long> shape, long begin, long end) {

  public TensorInfo {
    shape = List.copyOf(shape);
  }

  /** Number of elements: 1 for a scalar, 0 if any dimension is 0. */
  public long elements() {
    return bytes() / dtype.bytes();
  }

  /** Number of bytes. */
  public long bytes() {
    return end - begin;
  }
}
