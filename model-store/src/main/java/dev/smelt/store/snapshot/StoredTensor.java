package dev.smelt.store.snapshot;

import dev.smelt.store.safetensors.DType;
import java.util.List;

/**
 * A tensor of a snapshot.
 *
 * @param dtype type of its elements
 * @param shape sizes of its dimensions
 * @param digest of the blob that holds its bytes, little-endian and row-major
 * @param bytes length of that blob
 */
public record StoredTensor(DType dtype, List<Long> shape, String digest, long bytes) {

  public StoredTensor {
    shape = List.copyOf(shape);
    Names.digest(digest);
  }
}
