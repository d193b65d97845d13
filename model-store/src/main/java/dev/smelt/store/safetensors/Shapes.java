package dev.smelt.store.safetensors;

import java.util.List;

/** Sizes of tensors, with overflow checked. */
final class Shapes {

  private Shapes() {}

  /**
   * Bytes of a tensor.
   *
   * @throws ArithmeticException if the size does not fit 63 bits
   */
  static long bytes(DType dtype, List<Long> shape) {
    long elements = 1;
    for (long size : shape) {
      if (size == 0) {
        elements = 0;
      } else if (elements != 0) {
        elements = Math.multiplyExact(elements, size);
      }
    }
    return Math.multiplyExact(elements, dtype.bytes());
  }
}
