package dev.smelt.agent.ablation;

import dev.smelt.agent.compress.Compressor;
import dev.smelt.agent.compress.MemoryTensors;
import dev.smelt.agent.compress.Progress;
import dev.smelt.agent.compress.Recipe;
import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.inference.ByteProgress;
import dev.smelt.agent.inference.Measurement;
import dev.smelt.agent.inference.MoeModel;
import dev.smelt.agent.merge.Alignment;
import dev.smelt.agent.merge.AlignmentCache;
import dev.smelt.agent.plan.Budget;
import dev.smelt.agent.plan.LayerPlan;
import dev.smelt.agent.plan.Plan;
import dev.smelt.agent.plan.Similarity;
import dev.smelt.agent.plan.Strategy;
import dev.smelt.agent.statistics.TrafficStatistics;
import dev.smelt.store.checkpoint.Checkpoint;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;

/**
 * What each strategy loses on the new traffic of a model, by memory budget and by the traffic that
 * its statistics come from.
 */
public final class Ablation {

  /** How much of the experts' memory is to go, in percent. */
  private static final List<Integer> OFF = List.of(25, 50, 65, 80);

  private static final long SEED = 7;

  /**
   * @param checkpoint folder of a byte-level model
   * @param traffic folder with one text per domain
   * @param old domains that the model was compressed for once
   * @param recent domains that it serves now, and that all is evaluated on
   * @param bytes that are used of each half of each text
   */
  public record Setup(
      Path checkpoint, Path traffic, List<String> old, List<String> recent, int bytes) {}

  /**
   * One compressed model.
   *
   * @param variant what is unlike the strategy's standard, empty for the standard
   * @param off percent of expert memory that was to go
   * @param statistics {@code old} or {@code new}
   * @param seconds to plan and compress
   */
  public record Row(
      String strategy,
      String variant,
      int off,
      String statistics,
      double bitsPerByte,
      long expertBytes,
      double flopsPerToken,
      double seconds) {}

  /**
   * All rows of an ablation.
   *
   * @param full the model as it is
   */
  public record Result(Setup setup, Measurement full, List<Row> rows) {}

  private final Setup setup;
  private final Checkpoint checkpoint;
  private final List<byte[]> evaluated;
  private final AlignmentCache alignments = AlignmentCache.inMemory();
  private final Compute compute = Compute.cpu();
  private final Consumer<Row> progress;
  private final List<Row> rows = new ArrayList<>();

  private Ablation(
      Setup setup, Checkpoint checkpoint, List<byte[]> evaluated, Consumer<Row> progress) {
    this.setup = setup;
    this.checkpoint = checkpoint;
    this.evaluated = evaluated;
    this.progress = progress;
  }

  /** The names of the domains in a traffic folder, sorted. */
  public static List<String> domains(Path traffic) throws IOException {
    return Traffic.domains(traffic);
  }

  /**
   * Compresses and evaluates everything.
   *
   * @param progress hears of each row when it is there
   */
  public static Result run(Setup setup, Consumer<Row> progress) throws IOException {
    try (Checkpoint checkpoint = Checkpoint.open(setup.checkpoint())) {
      Traffic old = Traffic.read(setup.traffic(), setup.old(), setup.bytes());
      Traffic recent = Traffic.read(setup.traffic(), setup.recent(), setup.bytes());
      return new Ablation(setup, checkpoint, recent.evaluated(), progress).run(old, recent);
    }
  }

  private Result run(Traffic old, Traffic recent) throws IOException {
    MoeModel model = MoeModel.load(checkpoint);
    TrafficStatistics ofOld = old.statistics(model, checkpoint.blocks(), compute);
    TrafficStatistics ofRecent = recent.statistics(model, checkpoint.blocks(), compute);
    Measurement full = Measurement.of(model, evaluated, ByteProgress.NONE);
    for (int off : OFF) {
      for (Strategy strategy : Strategy.values()) {
        measure(strategy, off, "old", ofOld);
        measure(strategy, off, "new", ofRecent);
      }
    }
    variants(ofRecent);
    return new Result(setup, full, List.copyOf(rows));
  }

  /** What the paper's ingredients are worth, at half of the memory. */
  private void variants(TrafficStatistics statistics) throws IOException {
    Recipe.Choices standard = choices(Strategy.M_SMOE);
    measure(
        new Recipe.Choices(
            Strategy.M_SMOE, standard.similarity(), standard.budget(), Alignment.NONE),
        "not aligned",
        50,
        "new",
        statistics,
        UnaryOperator.identity());
    measure(
        new Recipe.Choices(
            Strategy.M_SMOE, standard.similarity(), standard.budget(), Alignment.EXPERT_0),
        "aligned to expert 0",
        50,
        "new",
        statistics,
        UnaryOperator.identity());
    measure(
        new Recipe.Choices(
            Strategy.M_SMOE, standard.similarity(), Budget.UNIFORM, standard.alignment()),
        "same groups in each layer",
        50,
        "new",
        statistics,
        UnaryOperator.identity());
    for (Similarity similarity :
        List.of(Similarity.CO_ACTIVATION, Similarity.ROUTER_WEIGHT, Similarity.WEIGHT)) {
      measure(
          new Recipe.Choices(Strategy.M_SMOE, similarity, standard.budget(), standard.alignment()),
          "by " + similarity,
          50,
          "new",
          statistics,
          UnaryOperator.identity());
    }
    measure(standard, "plain average", 50, "new", statistics, Ablation::plain);
    measure(standard, "random groups", 50, "new", statistics, Ablation::random);
  }

  private static Recipe.Choices choices(Strategy strategy) {
    Budget budget =
        strategy == Strategy.REAP || strategy == Strategy.REAM ? Budget.UNIFORM : Budget.EXACT;
    return new Recipe.Choices(strategy, Similarity.ROUTER_LOGITS, budget, Alignment.DOMINANT);
  }

  private void measure(Strategy strategy, int off, String traffic, TrafficStatistics statistics)
      throws IOException {
    measure(choices(strategy), "", off, traffic, statistics, UnaryOperator.identity());
  }

  private void measure(
      Recipe.Choices choices,
      String variant,
      int off,
      String traffic,
      TrafficStatistics statistics,
      UnaryOperator<LayerPlan> change)
      throws IOException {
    long began = System.nanoTime();
    long bytes = Recipe.expertBytes(checkpoint) * (100 - off) / 100;
    Recipe recipe = Recipe.forBytes(checkpoint, statistics, choices, alignments, bytes);
    MemoryTensors experts = new MemoryTensors();
    new Compressor(compute)
        .compress(
            checkpoint, changed(recipe.plan(), change), recipe.options(), experts, Progress.none());
    double seconds = (System.nanoTime() - began) / 1e9;
    Measurement measured =
        Measurement.of(MoeModel.load(checkpoint, experts), evaluated, ByteProgress.NONE);
    Row row =
        new Row(
            choices.strategy().toString(),
            variant,
            off,
            traffic,
            measured.score().bitsPerByte(),
            measured.expertBytes(),
            measured.flopsPerToken(),
            seconds);
    rows.add(row);
    progress.accept(row);
  }

  private static Plan changed(Plan plan, UnaryOperator<LayerPlan> change) {
    return new Plan(
        plan.model(),
        plan.strategy(),
        plan.similarity(),
        plan.budget(),
        plan.averageGroups(),
        plan.layers().stream().map(change).toList());
  }

  private static LayerPlan plain(LayerPlan layer) {
    return new LayerPlan(
        layer.block(),
        layer.dominant(),
        layer.labels(),
        Collections.nCopies(layer.experts(), 1.0),
        layer.frequency());
  }

  private static LayerPlan random(LayerPlan layer) {
    Random random = new Random(SEED);
    List<Integer> labels = new ArrayList<>();
    for (int expert = 0; expert < layer.experts(); expert++) {
      int group = layer.dominant().indexOf(expert);
      labels.add(group >= 0 ? group : random.nextInt(layer.groups()));
    }
    return new LayerPlan(
        layer.block(), layer.dominant(), labels, layer.weights(), layer.frequency());
  }
}
