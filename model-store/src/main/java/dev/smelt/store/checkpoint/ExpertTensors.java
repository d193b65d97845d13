package dev.smelt.store.checkpoint;

import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.Floats;
import dev.smelt.store.safetensors.Tensor;
import dev.smelt.store.safetensors.TensorInfo;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Writes expert weights back in the layout of their checkpoint, separate or fused. */
public final class ExpertTensors {

  private ExpertTensors() {}

  /** Weights in canonical orientation. */
  @FunctionalInterface
  public interface Weights {
    float[] of(int expert, Role role);
  }

  /**
   * The expert tensors of a block under their names, types and layout on disk. Weights are asked
   * for when a tensor is written, one slab at a time.
   *
   * @param experts how many to write: those of the checkpoint, or fewer
   */
  public static List<Tensor> of(Checkpoint base, MoeBlock block, int experts, Weights weights) {
    Map<String, List<ExpertTensor>> byName = new LinkedHashMap<>();
    for (ExpertTensor part : base.architecture().tensors()) {
      byName.computeIfAbsent(part.name(), name -> new ArrayList<>()).add(part);
    }
    List<Tensor> tensors = new ArrayList<>();
    for (List<ExpertTensor> parts : byName.values()) {
      ExpertTensor first = parts.get(0);
      if (first.fused()) {
        tensors.add(tensor(base, block, parts, 0, experts, weights));
      } else {
        for (int expert = 0; expert < experts; expert++) {
          tensors.add(tensor(base, block, parts, expert, expert + 1, weights));
        }
      }
    }
    return tensors;
  }

  private static Tensor tensor(
      Checkpoint base,
      MoeBlock block,
      List<ExpertTensor> parts,
      int firstExpert,
      int endExpert,
      Weights weights) {
    ExpertTensor first = parts.get(0);
    String name = first.name(block.name(), firstExpert);
    TensorInfo original = base.tensors().get(name);
    List<Long> shape = new ArrayList<>(original.shape());
    if (first.fused()) {
      shape.set(0, (long) endExpert);
    }
    DType dtype = original.dtype();
    return new Tensor(
        name,
        dtype,
        shape,
        channel -> {
          for (int expert = firstExpert; expert < endExpert; expert++) {
            float[] slab = slab(block, parts, expert, weights);
            ByteBuffer bytes =
                ByteBuffer.allocate(Math.multiplyExact(slab.length, dtype.bytes()))
                    .order(ByteOrder.LITTLE_ENDIAN);
            Floats.encode(slab, 0, slab.length, dtype, bytes);
            bytes.flip();
            while (bytes.hasRemaining()) {
              channel.write(bytes);
            }
          }
        });
  }

  private static float[] slab(
      MoeBlock block, List<ExpertTensor> parts, int expert, Weights weights) {
    Role any = parts.get(0).role();
    int anyRows = any.rows(block.hidden(), block.width());
    float[] slab =
        new float
            [Math.multiplyExact(
                parts.get(0).slabRows(anyRows), any.columns(block.hidden(), block.width()))];
    for (ExpertTensor part : parts) {
      Role role = part.role();
      part.pack(
          weights.of(expert, role),
          role.rows(block.hidden(), block.width()),
          role.columns(block.hidden(), block.width()),
          slab);
    }
    return slab;
  }
}
