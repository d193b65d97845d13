package dev.smelt.store.safetensors;

import java.io.IOException;
import java.nio.channels.WritableByteChannel;

/** The bytes of a tensor, produced when they are written and as often as they are. */
@FunctionalInterface
public interface TensorBytes {

  /** Writes all bytes, little-endian, row-major. */
  void writeTo(WritableByteChannel channel) throws IOException;
}
