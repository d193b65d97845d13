package dev.smelt.agent.simulation;

import dev.smelt.agent.inference.Evaluation;
import dev.smelt.agent.inference.ForwardObserver;
import dev.smelt.agent.inference.MoeModel;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.TensorSource;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.StoredTensor;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * What each snapshot loses against the full model, in bits per byte, measured on held-out text of
 * each kind. On mixed traffic it is the mean over the requests. Snapshots with the same experts are
 * measured once, whoever made them.
 */
final class Losses {

  /** The number of what serves before anything does. */
  static final int NOTHING = -1;

  private final Checkpoint checkpoint;
  private final List<byte[]> texts;
  private final double[] ofFullModel;
  private final Map<Map<String, StoredTensor>, Integer> numbers = new HashMap<>();
  private final List<double[]> byKind = new ArrayList<>();
  private final List<Boolean> full = new ArrayList<>();

  /**
   * @param model the full one
   * @param texts of each kind
   */
  Losses(Checkpoint checkpoint, MoeModel model, List<byte[]> texts) {
    this.checkpoint = checkpoint;
    this.texts = texts;
    this.ofFullModel = scores(model);
  }

  /**
   * The number of a snapshot, under which its losses are known from now on.
   *
   * @param tensors the experts of a snapshot
   */
  int number(Manifest snapshot, Function<Manifest, TensorSource> tensors) {
    @Nullable Integer known = numbers.get(snapshot.tensors());
    if (known != null) {
      return known;
    }
    byKind.add(snapshot.fullModel() ? new double[texts.size()] : measured(tensors.apply(snapshot)));
    full.add(snapshot.fullModel());
    numbers.put(snapshot.tensors(), byKind.size() - 1);
    return byKind.size() - 1;
  }

  boolean isFullModel(int number) {
    return full.get(number);
  }

  /**
   * The loss in bits per byte.
   *
   * @param number of the snapshot
   * @param counts requests of each kind
   */
  double of(int number, int[] counts) {
    double sum = 0;
    int requests = 0;
    for (int kind = 0; kind < counts.length; kind++) {
      sum += counts[kind] * byKind.get(number)[kind];
      requests += counts[kind];
    }
    return requests == 0 ? 0 : sum / requests;
  }

  /** The least that any compressed snapshot known by now loses. */
  double least(int[] counts) {
    double least = Double.POSITIVE_INFINITY;
    for (int number = 0; number < byKind.size(); number++) {
      if (!full.get(number)) {
        least = Math.min(least, of(number, counts));
      }
    }
    return least;
  }

  private double[] measured(TensorSource experts) {
    double[] losses = scores(MoeModel.load(checkpoint, experts));
    for (int kind = 0; kind < losses.length; kind++) {
      losses[kind] -= ofFullModel[kind];
    }
    return losses;
  }

  private double[] scores(MoeModel model) {
    return texts.stream()
        .mapToDouble(
            text -> Evaluation.score(model, text, ForwardObserver.NONE, done -> {}).bitsPerByte())
        .toArray();
  }
}
