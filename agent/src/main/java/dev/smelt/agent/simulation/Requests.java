package dev.smelt.agent.simulation;

import dev.smelt.agent.inference.Evaluation;
import dev.smelt.agent.inference.ForwardObserver;
import dev.smelt.agent.inference.MoeModel;
import dev.smelt.agent.inference.Routing;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.streams.usage.Accumulator;
import dev.smelt.streams.usage.Usage;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/**
 * Requests of each kind, routed once by the full model; what is simulated is which of them come.
 */
final class Requests {

  private static final int BYTES = 256;

  private final List<MoeBlock> blocks;

  /** By kind, request and layer. */
  private final List<List<List<Usage>>> routed;

  private Requests(List<MoeBlock> blocks, List<List<List<Usage>>> routed) {
    this.blocks = blocks;
    this.routed = routed;
  }

  /**
   * Runs the model on the start of each text.
   *
   * @param perKind how many different requests there are of each kind
   */
  static Requests route(MoeModel model, List<MoeBlock> blocks, List<byte[]> texts, int perKind) {
    List<List<List<Usage>>> routed = new ArrayList<>();
    for (byte[] text : texts) {
      int count = Math.min(perKind, text.length / BYTES);
      List<List<Accumulator>> ofKind = new ArrayList<>();
      for (int request = 0; request < count; request++) {
        ofKind.add(
            blocks.stream()
                .map(block -> Usage.accumulator(block.experts(), block.topK()).addRequests(1))
                .toList());
      }
      Evaluation.score(
          model,
          Arrays.copyOf(text, count * BYTES),
          new Counter(ofKind, blocks.size()),
          done -> {});
      routed.add(
          ofKind.stream().map(layers -> layers.stream().map(Accumulator::build).toList()).toList());
    }
    return new Requests(blocks, routed);
  }

  /** Counts what is routed for each request; each is as long as a window of the evaluation. */
  private static final class Counter implements ForwardObserver {

    private final List<List<Accumulator>> requests;
    private final int[] seen;

    Counter(List<List<Accumulator>> requests, int layers) {
      this.requests = requests;
      this.seen = new int[layers];
    }

    @Override
    public void routed(Routing routing) {
      int layer = routing.layer();
      for (int token = 0; token < routing.tokens(); token++) {
        int at = token * routing.topK();
        requests
            .get(seen[layer]++ / BYTES)
            .get(layer)
            .add(Arrays.copyOfRange(routing.selected(), at, at + routing.topK()), 1);
      }
    }
  }

  /** The usage of each layer by all known requests of a kind. */
  List<Usage> ofKind(int kind) {
    List<Accumulator> layers =
        blocks.stream().map(block -> Usage.accumulator(block.experts(), block.topK())).toList();
    for (List<Usage> request : routed.get(kind)) {
      for (int layer = 0; layer < request.size(); layer++) {
        layers.get(layer).add(request.get(layer));
      }
    }
    return layers.stream().map(Accumulator::build).toList();
  }

  /**
   * What a window of requests does to each layer.
   *
   * @param counts how many of each kind come
   */
  List<Usage> usage(int[] counts, SplittableRandom random) {
    List<Accumulator> layers =
        blocks.stream().map(block -> Usage.accumulator(block.experts(), block.topK())).toList();
    for (int kind = 0; kind < counts.length; kind++) {
      List<List<Usage>> ofKind = routed.get(kind);
      for (int request = 0; request < counts[kind]; request++) {
        List<Usage> drawn = ofKind.get(random.nextInt(ofKind.size()));
        for (int layer = 0; layer < drawn.size(); layer++) {
          layers.get(layer).add(drawn.get(layer));
        }
      }
    }
    return layers.stream().map(Accumulator::build).toList();
  }

  /** How many requests of each kind come when so many are expected: Poisson numbers. */
  static int[] counts(double[] shares, double expected, SplittableRandom random) {
    return Arrays.stream(shares).mapToInt(share -> poisson(share * expected, random)).toArray();
  }

  /** By multiplication (Knuth), which is exact and fast for means of some tens. */
  private static int poisson(double mean, SplittableRandom random) {
    double limit = Math.exp(-mean);
    int count = -1;
    for (double product = 1; product > limit; product *= random.nextDouble()) {
      count++;
    }
    return count;
  }
}
