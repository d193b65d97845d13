package dev.smelt.store.snapshot;

import dev.smelt.store.checkpoint.TensorSource;
import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.Floats;
import dev.smelt.store.safetensors.TensorInfo;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/** The tensors of a snapshot, published or in the making, read from their blobs. */
public final class SnapshotTensors implements TensorSource {

  private final StoreFiles files;
  private final String snapshot;
  private final Map<String, StoredTensor> stored;
  private final Map<String, TensorInfo> tensors = new LinkedHashMap<>();

  SnapshotTensors(StoreFiles files, String snapshot, Map<String, StoredTensor> stored) {
    this.files = files;
    this.snapshot = snapshot;
    this.stored = stored;
    stored.forEach(
        (name, tensor) ->
            tensors.put(
                name, new TensorInfo(name, tensor.dtype(), tensor.shape(), 0, tensor.bytes())));
  }

  @Override
  public Map<String, TensorInfo> tensors() {
    return Collections.unmodifiableMap(tensors);
  }

  private StoredTensor stored(String name) {
    StoredTensor tensor = stored.get(name);
    if (tensor == null) {
      throw new StoreException.NotFound(snapshot + " has no tensor " + name);
    }
    return tensor;
  }

  @Override
  public ByteBuffer bytes(String name, long offset, int length) {
    StoredTensor tensor = stored(name);
    Objects.checkFromIndexSize(offset, length, tensor.bytes());
    Path blob = files.blob(tensor.digest());
    try (FileChannel channel =
        FileChannel.open(blob, Set.of(StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS))) {
      if (channel.size() != tensor.bytes()) {
        throw new StoreException.Damaged(
            blob + ": has " + channel.size() + " bytes, not " + tensor.bytes());
      }
      return channel
          .map(FileChannel.MapMode.READ_ONLY, offset, length)
          .order(ByteOrder.LITTLE_ENDIAN);
    } catch (NoSuchFileException e) {
      throw new StoreException.Damaged(
          "blob " + tensor.digest() + " of " + name + " is missing; run `smelt store verify`", e);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public float[] floats(String name) {
    StoredTensor tensor = stored(name);
    if (!tensor.dtype().floating()) {
      throw new StoreException.Rejected(name + ": is " + tensor.dtype() + ", not floating-point");
    }
    int count = Math.toIntExact(tensor.bytes() / tensor.dtype().bytes());
    float[] values = new float[count];
    Floats.decode(
        bytes(name, 0, Math.toIntExact(tensor.bytes())), tensor.dtype(), values, 0, count);
    return values;
  }

  @Override
  public int[] ints(String name) {
    StoredTensor tensor = stored(name);
    if (tensor.dtype() != DType.I32) {
      throw new StoreException.Rejected(name + ": is " + tensor.dtype() + ", not I32");
    }
    int[] values = new int[Math.toIntExact(tensor.bytes() / DType.I32.bytes())];
    bytes(name, 0, Math.toIntExact(tensor.bytes())).asIntBuffer().get(values);
    return values;
  }
}
