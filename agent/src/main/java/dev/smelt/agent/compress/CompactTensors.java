package dev.smelt.agent.compress;

import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.merge.ExpertWeights;
import dev.smelt.agent.merge.MergedExpert;
import dev.smelt.agent.plan.LayerPlan;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.CompactNames;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.Floats;
import dev.smelt.store.safetensors.Tensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/** Collects the tensors of one group in the compact form, each in its weight's own type. */
final class CompactTensors {

  private final Checkpoint checkpoint;
  private final MoeBlock block;
  private final int group;
  private final List<Tensor> tensors = new ArrayList<>();

  CompactTensors(Checkpoint checkpoint, MoeBlock block, int group) {
    this.checkpoint = checkpoint;
    this.block = block;
    this.group = group;
  }

  /** Which group stands for each expert of a block. */
  static Tensor map(MoeBlock block, LayerPlan plan) {
    int[] labels = plan.labels().stream().mapToInt(Integer::intValue).toArray();
    return Tensor.ints(CompactNames.map(block.name()), List.of((long) labels.length), labels);
  }

  void whole(ExpertWeights expert) {
    expert.matrices().forEach(this::whole);
  }

  /** A merged expert weight by weight, none of them widened for longer than a tile. */
  void whole(MergedExpert expert) {
    for (Role role : block.roles()) {
      tensors.add(
          Tensor.raw(
              CompactNames.weight(block.name(), group, role),
              dtype(role),
              block.shape(role),
              expert.stored(role)));
    }
  }

  void whole(Role role, Matrix matrix) {
    String name = CompactNames.weight(block.name(), group, role);
    if (role.bias()) {
      add(name, role, List.of((long) matrix.cols()), matrix.values());
    } else {
      add(name, role, matrix);
    }
  }

  void factored(Role role, LowRank lowRank, RowSparse rows) {
    add(CompactNames.left(block.name(), group, role), role, lowRank.left());
    add(CompactNames.right(block.name(), group, role), role, lowRank.right());
    tensors.add(
        Tensor.ints(
            CompactNames.rows(block.name(), group, role),
            List.of((long) rows.indices().length),
            rows.indices()));
    add(CompactNames.residual(block.name(), group, role), role, rows.values());
  }

  private void add(String name, Role role, Matrix matrix) {
    add(name, role, List.of((long) matrix.rows(), (long) matrix.cols()), matrix.values());
  }

  /** In the stored type at once: a block of widened weights would take twice its memory. */
  private void add(String name, Role role, List<Long> shape, float[] values) {
    DType dtype = dtype(role);
    byte[] bytes = new byte[Math.multiplyExact(values.length, dtype.bytes())];
    Floats.encode(
        values, 0, values.length, dtype, ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN));
    tensors.add(Tensor.raw(name, dtype, shape, bytes));
  }

  private DType dtype(Role role) {
    return checkpoint.expertDType(block, role);
  }

  int group() {
    return group;
  }

  List<Tensor> all() {
    return tensors;
  }
}
