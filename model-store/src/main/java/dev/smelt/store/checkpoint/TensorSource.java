package dev.smelt.store.checkpoint;

import dev.smelt.store.safetensors.TensorInfo;
import java.nio.ByteBuffer;
import java.util.Map;

/** Readable tensors by name, wherever they lie. */
public interface TensorSource {

  /** All tensors by name; offsets are relative to the file that each lies in. */
  Map<String, TensorInfo> tensors();

  /** All elements of a floating-point tensor, as 32-bit floats. */
  float[] floats(String tensor);

  /** All elements of an integer tensor, checked to fit 32 bits. */
  int[] ints(String tensor);

  /** Bytes of a tensor: read-only, little-endian, not copied. */
  ByteBuffer bytes(String tensor, long offset, int length);
}
