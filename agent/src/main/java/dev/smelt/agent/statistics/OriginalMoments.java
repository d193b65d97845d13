package dev.smelt.agent.statistics;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.store.checkpoint.Activation;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * Adds up the second moments that a checkpoint's own experts would have on the inputs of a layer,
 * whatever experts run there: narrowed ones no longer show the neurons that they have lost. It
 * takes {@code 4 F²} bytes per expert for the sums, however many tokens pass, and {@code 8 d F} per
 * expert for weights. For one thread at a time.
 */
public final class OriginalMoments {

  private final Compute compute;
  private final Checkpoint checkpoint;
  private final Map<Key, Matrix> weights = new HashMap<>();
  private Map<String, BlockMoments> sums = new HashMap<>();

  private record Key(String block, int expert, Role role) {}

  /**
   * @param checkpoint open as long as this is used
   * @throws StatisticsException for experts that are not gated by SiLU
   */
  public OriginalMoments(Compute compute, Checkpoint checkpoint) {
    this.compute = compute;
    this.checkpoint = checkpoint;
    for (MoeBlock block : checkpoint.blocks()) {
      if (block.activation() != Activation.SILU || !block.roles().contains(Role.GATE)) {
        throw new StatisticsException(
            block.name() + ": moments can be calculated for experts gated by SiLU only");
      }
    }
  }

  /**
   * Adds tokens of one layer.
   *
   * @param layer index of the block in the model
   * @param inputs what router and experts see, tokens x d
   * @param selected the picked experts, tokens x k
   * @param gates their gate weights, tokens x k
   */
  public void add(int layer, float[] inputs, int[] selected, float[] gates) {
    MoeBlock block = checkpoint.blocks().get(layer);
    int topK = block.topK();
    List<ExpertMoments> experts =
        new ArrayList<>(
            sums.computeIfAbsent(block.name(), first -> BlockMoments.zero(block)).experts());
    for (int expert = 0; expert < block.experts(); expert++) {
      int[] picks = picks(selected, expert);
      if (picks.length > 0) {
        int[] tokens = Arrays.stream(picks).map(pick -> pick / topK).toArray();
        float[] weight = new float[picks.length];
        for (int i = 0; i < picks.length; i++) {
          weight[i] = gates[picks[i]];
        }
        Matrix rows =
            new Matrix(inputs.length / block.hidden(), block.hidden(), inputs).gatherRows(tokens);
        Matrix hidden = activations(block, expert, rows);
        hidden.scaleRows(weight);
        ExpertMoments sum = experts.get(expert);
        compute.addGram(1f, hidden, sum.activations());
        experts.set(
            expert,
            new ExpertMoments(sum.tokens() + picks.length, sum.inputs(), sum.activations()));
      }
    }
    sums.put(block.name(), new BlockMoments(block.name(), experts));
  }

  /** What was added up since the last call. */
  public List<BlockMoments> take() {
    List<BlockMoments> taken = List.copyOf(sums.values());
    sums = new HashMap<>();
    return taken;
  }

  private static int[] picks(int[] selected, int expert) {
    return IntStream.range(0, selected.length).filter(pick -> selected[pick] == expert).toArray();
  }

  private Matrix activations(MoeBlock block, int expert, Matrix inputs) {
    return GatedSilu.activations(
        compute, inputs, weight(block, expert, Role.GATE), weight(block, expert, Role.UP));
  }

  private Matrix weight(MoeBlock block, int expert, Role role) {
    return weights.computeIfAbsent(
        new Key(block.name(), expert, role),
        key -> new Matrix(block.width(), block.hidden(), checkpoint.expert(block, expert, role)));
  }
}
