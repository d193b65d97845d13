package dev.smelt.store.checkpoint;

import dev.smelt.store.safetensors.Tensor;
import dev.smelt.store.safetensors.TensorInfo;
import java.nio.ByteBuffer;
import java.util.Map;

/** Readable tensors by name, wherever they lie. */
public interface TensorSource {

  /** Longest run of bytes that is mapped at once to copy a tensor. */
  long SLICE = 1 << 26;

  /** All tensors by name; offsets are relative to the file that each lies in. */
  Map<String, TensorInfo> tensors();

  /** All elements of a floating-point tensor, as 32-bit floats. */
  float[] floats(String tensor);

  /** All elements of an integer tensor, checked to fit 32 bits. */
  int[] ints(String tensor);

  /** Bytes of a tensor: read-only, little-endian, not copied. */
  ByteBuffer bytes(String tensor, long offset, int length);

  /** A tensor that writes the bytes as they are stored. */
  default Tensor tensor(String name) {
    TensorInfo info = tensors().get(name);
    if (info == null) {
      throw new CheckpointException(name + ": no such tensor");
    }
    return new Tensor(
        name,
        info.dtype(),
        info.shape(),
        channel -> {
          for (long at = 0; at < info.bytes(); ) {
            ByteBuffer part = bytes(name, at, (int) Math.min(SLICE, info.bytes() - at));
            at += part.remaining();
            while (part.hasRemaining()) {
              channel.write(part);
            }
          }
        });
  }
}
