package dev.smelt.agent.compress;

import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.merge.ExpertWeights;
import dev.smelt.agent.plan.LayerPlan;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.CompactNames;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.Tensor;
import java.util.ArrayList;
import java.util.List;

/** Collects the tensors of one block in the compact form, each in its weight's own type. */
final class CompactTensors {

  private final Checkpoint checkpoint;
  private final MoeBlock block;
  private final List<Tensor> tensors = new ArrayList<>();

  CompactTensors(Checkpoint checkpoint, MoeBlock block, LayerPlan plan) {
    this.checkpoint = checkpoint;
    this.block = block;
    int[] labels = plan.labels().stream().mapToInt(Integer::intValue).toArray();
    tensors.add(Tensor.ints(CompactNames.map(block.name()), List.of((long) labels.length), labels));
  }

  void whole(int group, ExpertWeights expert) {
    expert.matrices().forEach((role, matrix) -> whole(group, role, matrix));
  }

  void whole(int group, Role role, Matrix matrix) {
    String name = CompactNames.weight(block.name(), group, role);
    if (role.bias()) {
      tensors.add(Tensor.floats(name, dtype(role), List.of((long) matrix.cols()), matrix.values()));
    } else {
      add(name, role, matrix);
    }
  }

  void factored(int group, Role role, LowRank lowRank, RowSparse rows) {
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
    tensors.add(
        Tensor.floats(
            name,
            dtype(role),
            List.of((long) matrix.rows(), (long) matrix.cols()),
            matrix.values()));
  }

  private DType dtype(Role role) {
    return checkpoint.expertDType(block, role);
  }

  MoeBlock block() {
    return block;
  }

  List<Tensor> all() {
    return tensors;
  }
}
