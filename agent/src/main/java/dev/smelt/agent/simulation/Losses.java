package dev.smelt.agent.simulation;

import dev.smelt.agent.compress.CompressOptions;
import dev.smelt.agent.compress.Compressor;
import dev.smelt.agent.compress.MemoryTensors;
import dev.smelt.agent.compress.Progress;
import dev.smelt.agent.compress.Whole;
import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.inference.Evaluation;
import dev.smelt.agent.inference.ForwardObserver;
import dev.smelt.agent.inference.MoeModel;
import dev.smelt.agent.merge.Alignment;
import dev.smelt.agent.merge.AlignmentCache;
import dev.smelt.agent.plan.LayerPlan;
import dev.smelt.agent.plan.Plan;
import dev.smelt.agent.plan.PlanFile;
import dev.smelt.agent.plan.PlanOptions;
import dev.smelt.agent.plan.Planner;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.streams.usage.Usage;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/**
 * What each snapshot of kept and pruned experts loses against the full model, in bits per byte.
 *
 * <p>On one kind of text a snapshot loses {@code sum over pruned experts of a_e f_e, plus sum over
 * layers of b_l m_l^2}, where {@code f_e} is the share of its layer's decisions on that kind that
 * fall on an expert, and {@code m_l} that of all pruned experts of a layer. The coefficients, none
 * negative, are those that fit best what snapshots made for random mixes of the kinds really lose
 * on held-out text of each kind. On mixed traffic the loss is the mean over the requests.
 */
final class Losses {

  private static final double MIX_SPREAD = 1.5;
  private static final int REQUESTS_A_SNAPSHOT = 300;
  private static final int SWEEPS = 2_000;

  /** By kind and layer the share of each expert [experts]. */
  private final List<List<double[]>> usage;

  private final double[] coefficients;
  private final double explained;
  private final Map<String, Integer> numbers = new HashMap<>();
  private final List<double[]> byKind = new ArrayList<>();
  private final List<Boolean> full = new ArrayList<>();

  private Losses(List<List<double[]>> usage, double[] coefficients, double explained) {
    this.usage = usage;
    this.coefficients = coefficients;
    this.explained = explained;
  }

  /**
   * Measures snapshots and fits the coefficients.
   *
   * @param requests give the usage by each kind
   * @param texts held-out text of each kind
   * @param options what snapshots are made with; a strategy that prunes
   * @param snapshots how many are measured
   */
  static Losses fit(
      Checkpoint checkpoint,
      MoeModel model,
      Requests requests,
      List<byte[]> texts,
      PlanOptions options,
      int snapshots,
      long seed)
      throws IOException {
    List<List<double[]>> usage = new ArrayList<>();
    for (int kind = 0; kind < texts.size(); kind++) {
      usage.add(requests.ofKind(kind).stream().map(Usage::frequency).toList());
    }
    double[] fullScores = scores(model, texts);
    SplittableRandom random = new SplittableRandom(seed);
    List<double[]> features = new ArrayList<>();
    List<Double> lost = new ArrayList<>();
    for (int snapshot = 0; snapshot < snapshots; snapshot++) {
      Plan plan =
          Planner.plan(checkpoint, traffic(checkpoint, requests, texts.size(), random), options);
      double[] scores = scores(MoeModel.load(checkpoint, experts(checkpoint, plan)), texts);
      for (int kind = 0; kind < scores.length; kind++) {
        features.add(features(plan, usage.get(kind)));
        lost.add(scores[kind] - fullScores[kind]);
      }
    }
    double[] target = lost.stream().mapToDouble(Double::doubleValue).toArray();
    int known = target.length / 3 * 2;
    double[] ofKnown =
        nonNegativeLeastSquares(features.subList(0, known), Arrays.copyOf(target, known));
    double explained =
        explained(
            features.subList(known, target.length),
            Arrays.copyOfRange(target, known, target.length),
            ofKnown);
    return new Losses(usage, nonNegativeLeastSquares(features, target), explained);
  }

  /**
   * The share of the variance of measured losses that is explained by a fit to others: to the first
   * two thirds of the snapshots, tried on the last third.
   */
  double explained() {
    return explained;
  }

  /**
   * The number of a snapshot, under which its losses are known from now on.
   *
   * @param way who made it: ids are only unique within a store
   */
  int number(String way, Manifest snapshot) {
    return numbers.computeIfAbsent(
        way + " " + snapshot.id(),
        fresh -> {
          byKind.add(snapshot.fullModel() ? new double[usage.size()] : losses(snapshot));
          full.add(snapshot.fullModel());
          return byKind.size() - 1;
        });
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

  private double[] losses(Manifest snapshot) {
    Plan plan = PlanFile.fromJson(snapshot.plan());
    return usage.stream()
        .mapToDouble(ofKind -> dot(coefficients, features(plan, ofKind)))
        .toArray();
  }

  /** For each pruned expert its share, then for each layer the square of all such shares. */
  private static double[] features(Plan plan, List<double[]> usage) {
    int experts = usage.get(0).length;
    double[] features = new double[usage.size() * (experts + 1)];
    for (int layer = 0; layer < usage.size(); layer++) {
      LayerPlan ofLayer = plan.layers().get(layer);
      double pruned = 0;
      for (int expert = 0; expert < experts; expert++) {
        if (ofLayer.labels().get(expert) == LayerPlan.MASKED) {
          features[layer * experts + expert] = usage.get(layer)[expert];
          pruned += usage.get(layer)[expert];
        }
      }
      features[usage.size() * experts + layer] = pruned * pruned;
    }
    return features;
  }

  private static Map<String, Usage> traffic(
      Checkpoint checkpoint, Requests requests, int kinds, SplittableRandom random) {
    double[] weights = new double[kinds];
    Arrays.setAll(weights, kind -> Math.exp(MIX_SPREAD * random.nextGaussian()));
    double all = Arrays.stream(weights).sum();
    int[] counts =
        Arrays.stream(weights)
            .mapToInt(weight -> (int) Math.round(REQUESTS_A_SNAPSHOT * weight / all))
            .toArray();
    List<Usage> layers = requests.usage(counts, random);
    Map<String, Usage> traffic = new HashMap<>();
    List<MoeBlock> blocks = checkpoint.blocks();
    for (int layer = 0; layer < layers.size(); layer++) {
      traffic.put(blocks.get(layer).name(), layers.get(layer));
    }
    return traffic;
  }

  private static MemoryTensors experts(Checkpoint checkpoint, Plan plan) throws IOException {
    MemoryTensors experts = new MemoryTensors();
    new Compressor(Compute.cpu())
        .compress(
            checkpoint,
            plan,
            new CompressOptions(Alignment.named("none"), AlignmentCache.inMemory(), new Whole()),
            experts,
            Progress.none());
    return experts;
  }

  private static double[] scores(MoeModel model, List<byte[]> texts) {
    return texts.stream()
        .mapToDouble(
            text -> Evaluation.score(model, text, ForwardObserver.NONE, done -> {}).bitsPerByte())
        .toArray();
  }

  /** By coordinate descent, which cannot leave the feasible side and needs no inverse. */
  private static double[] nonNegativeLeastSquares(List<double[]> features, double[] target) {
    double[] coefficients = new double[features.get(0).length];
    double[] rest = target.clone();
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
      for (int at = 0; at < coefficients.length; at++) {
        double gradient = 0;
        double square = 0;
        for (int row = 0; row < rest.length; row++) {
          gradient += features.get(row)[at] * rest[row];
          square += features.get(row)[at] * features.get(row)[at];
        }
        double next = square == 0 ? 0 : Math.max(0, coefficients[at] + gradient / square);
        for (int row = 0; row < rest.length; row++) {
          rest[row] -= (next - coefficients[at]) * features.get(row)[at];
        }
        coefficients[at] = next;
      }
    }
    return coefficients;
  }

  private static double explained(List<double[]> features, double[] target, double[] coefficients) {
    double mean = Arrays.stream(target).average().orElse(0);
    double unexplained = 0;
    double variance = 0;
    for (int row = 0; row < target.length; row++) {
      unexplained += Math.pow(target[row] - dot(coefficients, features.get(row)), 2);
      variance += Math.pow(target[row] - mean, 2);
    }
    return 1 - unexplained / variance;
  }

  private static double dot(double[] left, double[] right) {
    double sum = 0;
    for (int i = 0; i < left.length; i++) {
      sum += left[i] * right[i];
    }
    return sum;
  }
}
