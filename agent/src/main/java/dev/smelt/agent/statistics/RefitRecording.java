package dev.smelt.agent.statistics;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.compute.Transpose;
import dev.smelt.agent.inference.ExpertBatch;
import dev.smelt.agent.inference.ForwardObserver;
import dev.smelt.store.checkpoint.Activation;
import dev.smelt.store.checkpoint.CompactExperts;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import dev.smelt.store.checkpoint.TensorSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Watches a model run with its original experts and adds up what the merged ones would need to make
 * the same outputs. Groups of one are left out: they make them already. It takes {@code 4 (F² + 3 d
 * F)} bytes per group, however many tokens pass. For one thread at a time.
 */
public final class RefitRecording implements ForwardObserver {

  private final Compute compute;
  private final List<MoeBlock> blocks;
  private final CompactExperts merged;
  private final Map<String, int[]> maps = new HashMap<>();
  private final Map<Key, Matrix> weights = new HashMap<>();
  private final List<List<GroupMoments>> sums = new ArrayList<>();

  private record Key(String block, int group, Role role) {}

  /**
   * @param blocks of the original model, in layer order
   * @param merged the merged experts, in the compact form
   * @throws StatisticsException for experts that are not gated by SiLU
   */
  public RefitRecording(Compute compute, List<MoeBlock> blocks, TensorSource merged) {
    this.compute = compute;
    this.blocks = blocks;
    this.merged = new CompactExperts(merged);
    for (MoeBlock block : blocks) {
      if (block.activation() != Activation.SILU || !block.roles().contains(Role.GATE)) {
        throw new StatisticsException(
            block.name() + ": a refit is possible for experts gated by SiLU only");
      }
      maps.put(block.name(), ofSeveral(this.merged.map(block)));
      List<GroupMoments> groups = new ArrayList<>();
      for (int group = 0; group < this.merged.groups(block); group++) {
        groups.add(GroupMoments.zero(block.hidden(), block.width()));
      }
      sums.add(groups);
    }
  }

  /**
   * The group of each expert; -1 also for an expert that is its whole group, and stays as it is.
   */
  private static int[] ofSeveral(int[] map) {
    return Arrays.stream(map)
        .map(group -> Arrays.stream(map).filter(other -> other == group).count() > 1 ? group : -1)
        .toArray();
  }

  @Override
  public void calculated(ExpertBatch batch) {
    MoeBlock block = blocks.get(batch.layer());
    int group = maps.get(block.name())[batch.expert()];
    if (group < 0) {
      return;
    }
    int count = batch.count();
    Matrix inputs = leading(batch.inputs(), count, block.hidden());
    Matrix hidden = activations(block, group, inputs);
    Matrix outputs = leading(batch.outputs(), count, block.hidden());
    hidden.scaleRows(leading(batch.gates(), count, 1).values());
    outputs.scaleRows(leading(batch.gates(), count, 1).values());
    GroupMoments sum = sums.get(batch.layer()).get(group);
    compute.addGram(1f, hidden, sum.activations());
    compute.gemm(Transpose.YES, Transpose.NO, 1f, outputs, hidden, 1f, sum.outputs());
    sums.get(batch.layer())
        .set(group, new GroupMoments(sum.tokens() + count, sum.activations(), sum.outputs()));
  }

  private Matrix activations(MoeBlock block, int group, Matrix inputs) {
    return GatedSilu.activations(
        compute, inputs, weight(block, group, Role.GATE), weight(block, group, Role.UP));
  }

  private Matrix weight(MoeBlock block, int group, Role role) {
    return weights.computeIfAbsent(
        new Key(block.name(), group, role),
        key -> new Matrix(block.width(), block.hidden(), merged.weight(block, group, role)));
  }

  private static Matrix leading(float[] values, int rows, int cols) {
    return new Matrix(rows, cols, Arrays.copyOf(values, rows * cols));
  }

  /** What was added up so far; further passes change it. */
  public List<BlockRefit> moments() {
    List<BlockRefit> moments = new ArrayList<>();
    for (int layer = 0; layer < blocks.size(); layer++) {
      moments.add(new BlockRefit(blocks.get(layer).name(), sums.get(layer)));
    }
    return moments;
  }
}
