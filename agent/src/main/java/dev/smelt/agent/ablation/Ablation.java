package dev.smelt.agent.ablation;

import dev.smelt.agent.compress.Compressor;
import dev.smelt.agent.compress.MemoryTensors;
import dev.smelt.agent.compress.Progress;
import dev.smelt.agent.compress.Recipe;
import dev.smelt.agent.compress.Refitting;
import dev.smelt.agent.compress.WhitenedFactoring;
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
import dev.smelt.agent.statistics.BlockMoments;
import dev.smelt.agent.statistics.BlockRefit;
import dev.smelt.agent.statistics.RefitRecording;
import dev.smelt.agent.statistics.TrafficStatistics;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;

/**
 * What each strategy loses on the new traffic of a model, by memory budget and by the traffic that
 * its statistics come from.
 */
public final class Ablation {

  private static final int HALF = 50;
  private static final long SEED = 7;
  private static final List<Alignment> ALIGNMENTS = List.of(Alignment.NONE, Alignment.EXPERT_0);
  private static final List<Similarity> SIMILARITIES =
      List.of(Similarity.CO_ACTIVATION, Similarity.ROUTER_WEIGHT, Similarity.WEIGHT);

  /**
   * @param checkpoint folder of a byte-level model
   * @param traffic folder with one text per domain
   * @param old domains that the model was compressed for once
   * @param recent domains that it serves now, and that all is evaluated on
   * @param bytes that are used of each half of each text
   * @param strategies that are compared
   * @param off how much of the experts' memory is to go, in percent
   * @param recoveries that are measured besides
   */
  public record Setup(
      Path checkpoint,
      Path traffic,
      List<String> old,
      List<String> recent,
      int bytes,
      List<Strategy> strategies,
      List<Integer> off,
      Set<Recovery> recoveries) {

    /** How many compressed models are measured. */
    public int rows() {
      return 2 * off.size() * (strategies.size() + recoveries.size())
          + ALIGNMENTS.size()
          + SIMILARITIES.size()
          + 3;
    }
  }

  /** What second moments can do for merged and factored experts. */
  public enum Recovery {
    /** Down projections of {@code m-smoe} are fitted to the original experts' outputs. */
    REFIT,
    /** {@code mc-smoe} factors by the activations' second moments. */
    WHITEN
  }

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
  private final MoeModel model;
  private final List<byte[]> evaluated;
  private final AlignmentCache alignments = AlignmentCache.inMemory();
  private final Compute compute = Compute.cpu();
  private final Consumer<Row> progress;
  private final List<Row> rows = new ArrayList<>();

  private Ablation(
      Setup setup, Checkpoint checkpoint, List<byte[]> evaluated, Consumer<Row> progress) {
    this.setup = setup;
    this.checkpoint = checkpoint;
    this.model = MoeModel.load(checkpoint);
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
    TrafficStatistics ofOld = old.statistics(model, checkpoint.blocks(), compute);
    TrafficStatistics ofRecent = recent.statistics(model, checkpoint.blocks(), compute);
    Measurement full = Measurement.of(model, evaluated, ByteProgress.NONE);
    for (int off : setup.off()) {
      for (Strategy strategy : setup.strategies()) {
        measure(strategy, off, "old", ofOld);
        measure(strategy, off, "new", ofRecent);
      }
    }
    recoveries("old", old, ofOld);
    recoveries("new", recent, ofRecent);
    variants(ofRecent);
    return new Result(setup, full, List.copyOf(rows));
  }

  /** What the paper's ingredients are worth, at half of the memory. */
  private void variants(TrafficStatistics statistics) throws IOException {
    Recipe.Choices standard = choices(Strategy.M_SMOE);
    for (Alignment alignment : ALIGNMENTS) {
      measure(standard.with(alignment), "aligned to " + alignment, statistics, recipe -> recipe);
    }
    measure(
        standard.with(Budget.UNIFORM), "same groups in each layer", statistics, recipe -> recipe);
    for (Similarity similarity : SIMILARITIES) {
      measure(standard.with(similarity), "by " + similarity, statistics, recipe -> recipe);
    }
    measure(standard, "plain average", statistics, changing(Ablation::plain));
    measure(standard, "random groups", statistics, changing(Ablation::random));
  }

  private void measure(
      Recipe.Choices choices,
      String variant,
      TrafficStatistics statistics,
      UnaryOperator<Recipe> change)
      throws IOException {
    measure(choices, variant, HALF, "new", statistics, change);
  }

  /** What second moments do for merged and factored experts. */
  private void recoveries(String traffic, Traffic texts, TrafficStatistics statistics)
      throws IOException {
    Function<MoeBlock, BlockMoments> moments = statistics.moments().orElseThrow();
    for (int off : setup.off()) {
      if (setup.recoveries().contains(Recovery.REFIT)) {
        measure(
            choices(Strategy.M_SMOE),
            "refitted",
            off,
            traffic,
            statistics,
            recipe -> refitted(recipe, texts));
      }
      if (setup.recoveries().contains(Recovery.WHITEN)) {
        measure(
            choices(Strategy.MC_SMOE),
            "whitened",
            off,
            traffic,
            statistics,
            recipe -> recipe.reducedBy(new WhitenedFactoring(moments, bytes(off))));
      }
    }
  }

  private Recipe refitted(Recipe recipe, Traffic texts) {
    try {
      RefitRecording recording = Refitting.recording(compute, checkpoint, recipe);
      texts.run(model, recording);
      Map<String, BlockRefit> byBlock =
          recording.moments().stream()
              .collect(Collectors.toMap(BlockRefit::block, Function.identity()));
      return recipe.reducedBy(new Refitting(block -> byBlock.get(block.name())));
    } catch (IOException impossible) {
      throw new UncheckedIOException(impossible);
    }
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
      UnaryOperator<Recipe> change)
      throws IOException {
    long began = System.nanoTime();
    Recipe recipe =
        change.apply(Recipe.forBytes(checkpoint, statistics, choices, alignments, bytes(off)));
    MemoryTensors experts = new MemoryTensors();
    new Compressor(compute)
        .compress(checkpoint, recipe.plan(), recipe.options(), experts, Progress.none());
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

  private long bytes(int off) {
    return Recipe.expertBytes(checkpoint) * (100 - off) / 100;
  }

  private static UnaryOperator<Recipe> changing(UnaryOperator<LayerPlan> change) {
    return recipe -> {
      Plan plan = recipe.plan();
      return new Recipe(
          plan.withLayers(plan.layers().stream().map(change).toList()), recipe.options());
    };
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
