package dev.smelt.agent.compress;

import dev.smelt.store.checkpoint.CheckpointException;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.TensorSource;
import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.Floats;
import dev.smelt.store.safetensors.Tensor;
import dev.smelt.store.safetensors.TensorInfo;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Keeps compressed experts in memory, in their stored types, to be run at once. */
public final class MemoryTensors implements CompactSink, TensorSource {

  private final Map<String, TensorInfo> infos = new LinkedHashMap<>();
  private final Map<String, ByteBuffer> contents = new LinkedHashMap<>();

  @Override
  public void accept(MoeBlock block, List<Tensor> tensors) throws IOException {
    for (Tensor tensor : tensors) {
      ByteArrayOutputStream out = new ByteArrayOutputStream(Math.toIntExact(tensor.length()));
      tensor.bytes().writeTo(Channels.newChannel(out));
      infos.put(
          tensor.name(),
          new TensorInfo(tensor.name(), tensor.dtype(), tensor.shape(), 0, out.size()));
      contents.put(tensor.name(), ByteBuffer.wrap(out.toByteArray()).asReadOnlyBuffer());
    }
  }

  /** Bytes of all tensors together. */
  public long bytes() {
    return infos.values().stream().mapToLong(TensorInfo::bytes).sum();
  }

  @Override
  public Map<String, TensorInfo> tensors() {
    return Collections.unmodifiableMap(infos);
  }

  @Override
  public float[] floats(String tensor) {
    TensorInfo info = info(tensor);
    float[] values = new float[Math.toIntExact(info.elements())];
    Floats.decode(content(tensor), info.dtype(), values, 0, values.length);
    return values;
  }

  @Override
  public int[] ints(String tensor) {
    TensorInfo info = info(tensor);
    if (info.dtype() != DType.I32) {
      throw new CheckpointException(tensor + ": is " + info.dtype() + ", not I32");
    }
    int[] values = new int[Math.toIntExact(info.elements())];
    content(tensor).asIntBuffer().get(values);
    return values;
  }

  @Override
  public ByteBuffer bytes(String tensor, long offset, int length) {
    return content(tensor).slice(Math.toIntExact(offset), length).order(ByteOrder.LITTLE_ENDIAN);
  }

  private ByteBuffer content(String tensor) {
    info(tensor);
    return contents.get(tensor).duplicate().order(ByteOrder.LITTLE_ENDIAN);
  }

  private TensorInfo info(String tensor) {
    TensorInfo info = infos.get(tensor);
    if (info == null) {
      throw new CheckpointException(tensor + ": is missing");
    }
    return info;
  }
}
