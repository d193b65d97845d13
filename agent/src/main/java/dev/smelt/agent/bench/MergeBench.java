package dev.smelt.agent.bench;

import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.merge.ExpertWeights;
import dev.smelt.agent.merge.WeightedMerge;
import dev.smelt.store.checkpoint.Role;
import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.Floats;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;

/** The weighted merge of bf16 experts, beside the rate at which this process can copy memory. */
public final class MergeBench {

  private static final int MEMBERS = 4;

  private MergeBench() {}

  /**
   * @param elements of each member
   */
  public static List<Figure> run(int elements) {
    ByteBuffer stored =
        ByteBuffer.allocateDirect(elements * DType.BF16.bytes()).order(ByteOrder.LITTLE_ENDIAN);
    ByteBuffer copy = ByteBuffer.allocateDirect(stored.capacity());
    double merge = Timing.fastest(() -> merge(stored, elements));
    double copying =
        Timing.fastest(
            () -> {
              for (int member = 0; member < MEMBERS; member++) {
                copy.clear();
                copy.put(stored.duplicate().clear());
              }
            });
    double bytes = (double) MEMBERS * stored.capacity();
    return List.of(
        new Figure(
            "merge of %d bf16 experts of %d elements".formatted(MEMBERS, elements),
            bytes / merge / 1e9,
            "GB/s read",
            "memory copy",
            OptionalDouble.of(bytes / copying / 1e9)));
  }

  private static void merge(ByteBuffer stored, int elements) {
    WeightedMerge merge = new WeightedMerge();
    for (int member = 0; member < MEMBERS; member++) {
      float[] values = new float[elements];
      Floats.decode(
          stored.duplicate().order(ByteOrder.LITTLE_ENDIAN), DType.BF16, values, 0, elements);
      merge.add(new ExpertWeights(Map.of(Role.UP, new Matrix(1, elements, values))), 0.25);
    }
    merge.result();
  }
}
