package dev.smelt.agent.compress;

import dev.smelt.agent.merge.ExpertWeights;
import dev.smelt.agent.statistics.BlockMoments;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.function.Function;

/**
 * Each expert keeps the hidden neurons that its traffic needs most, and its down projection is
 * fitted again to those. All neurons of the model compete for half of the memory, so that experts
 * and layers that matter more to the traffic stay wider; the other half is shared evenly, because
 * the next traffic is never quite the last one. What a neuron is worth is its share of the energy
 * of its layer's output.
 *
 * @param moments of each block's experts
 * @param bytes that all experts together may take
 */
public record Narrowing(Function<MoeBlock, BlockMoments> moments, long bytes) implements Reduction {

  /** Share of the memory that all experts get evenly. */
  private static final double EVEN = 0.5;

  private record Key(String block, int group) {}

  /** The next neuron of an expert, and what a byte spent on it gains of the layer's energy. */
  private record Offer(double gainPerByte, Key key) {}

  private record Choice(NeuronRanking ranking, long neuronBytes, double layerEnergy) {

    long bytes() {
      return neuronBytes * ranking.order().length;
    }

    Offer offer(Key key, int kept) {
      return new Offer(ranking.gains()[kept] / (neuronBytes * layerEnergy), key);
    }
  }

  @Override
  public Writer prepare(MergedGroups groups) {
    Map<Key, Choice> choices = new HashMap<>();
    List<Key> keys = new ArrayList<>();
    for (MoeBlock block : groups.blocks()) {
      BlockMoments ofBlock = moments.apply(block);
      long neuronBytes = neuronBytes(groups, block);
      List<Map.Entry<Key, NeuronRanking>> rankings =
          groups.each(
              block,
              (group, merged) ->
                  Map.entry(
                      new Key(block.name(), group),
                      NeuronRanking.of(fit(groups, block, ofBlock, group, merged.weights()))));
      double layerEnergy =
          rankings.stream()
              .flatMapToDouble(ranking -> Arrays.stream(ranking.getValue().gains()))
              .sum();
      for (Map.Entry<Key, NeuronRanking> ranking : rankings) {
        keys.add(ranking.getKey());
        choices.put(ranking.getKey(), new Choice(ranking.getValue(), neuronBytes, layerEnergy));
      }
    }
    Map<Key, Integer> widths = widths(choices, keys);
    return block -> {
      BlockMoments ofBlock = moments.apply(block);
      return (tensors, merged) -> {
        Key key = new Key(block.name(), tensors.group());
        int[] kept = Arrays.copyOf(choices.get(key).ranking().order(), widths.get(key));
        Arrays.sort(kept);
        ExpertWeights weights = merged.weights();
        ActivationFit fit = fit(groups, block, ofBlock, tensors.group(), weights);
        tensors.whole(fit.narrowed(groups.compute(), weights, kept));
      };
    };
  }

  private static ActivationFit fit(
      MergedGroups groups, MoeBlock block, BlockMoments ofBlock, int group, ExpertWeights merged) {
    List<Integer> members = groups.plan(block).members(group);
    if (members.size() != 1) {
      throw new CompressionException(
          "%s: group %d has %d members, but experts are narrowed one by one; plan with --strategy smelt"
              .formatted(block.name(), group, members.size()));
    }
    return ActivationFit.own(groups.compute(), merged, ofBlock.experts().get(members.get(0)));
  }

  private Map<Key, Integer> widths(Map<Key, Choice> choices, List<Key> keys) {
    Map<Key, Integer> widths = new HashMap<>();
    PriorityQueue<Offer> offers =
        new PriorityQueue<>(Comparator.comparingDouble(Offer::gainPerByte).reversed());
    double evenly = EVEN * bytes / choices.values().stream().mapToLong(Choice::bytes).sum();
    long left = bytes;
    for (Key key : keys) {
      Choice choice = choices.get(key);
      int width = choice.ranking().order().length;
      int kept = (int) Math.min(width, Math.max(1, evenly * width));
      widths.put(key, kept);
      left -= kept * choice.neuronBytes();
      if (kept < width) {
        offers.add(choice.offer(key, kept));
      }
    }
    if (left < 0) {
      throw new CompressionException(
          "a budget of %d bytes is below the %d that one neuron of each expert takes"
              .formatted(bytes, bytes - left));
    }
    while (!offers.isEmpty()) {
      Key key = offers.remove().key();
      Choice choice = choices.get(key);
      if (choice.neuronBytes() > left) {
        continue;
      }
      left -= choice.neuronBytes();
      int kept = widths.merge(key, 1, Integer::sum);
      if (kept < choice.ranking().order().length) {
        offers.add(choice.offer(key, kept));
      }
    }
    return widths;
  }

  private static long neuronBytes(MergedGroups groups, MoeBlock block) {
    long bytes = 0;
    for (Role role : block.roles()) {
      if (role != Role.DOWN_BIAS) {
        bytes +=
            (long) block.elements(role)
                / block.width()
                * groups.checkpoint().expertDType(block, role).bytes();
      }
    }
    return bytes;
  }
}
