package dev.smelt.agent.bench;

import dev.smelt.agent.compress.CompressOptions;
import dev.smelt.agent.compress.Compressor;
import dev.smelt.agent.compress.FactoringProbe;
import dev.smelt.agent.compress.Progress;
import dev.smelt.agent.compress.Whole;
import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.compute.Transpose;
import dev.smelt.agent.merge.Aligner;
import dev.smelt.agent.merge.Alignment;
import dev.smelt.agent.merge.AlignmentCache;
import dev.smelt.agent.merge.Assignment;
import dev.smelt.agent.merge.ExpertWeights;
import dev.smelt.agent.plan.Budget;
import dev.smelt.agent.plan.LayerPlan;
import dev.smelt.agent.plan.Plan;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.safetensors.Tensor;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.OptionsBuilder;

/**
 * The kernels of merging and compression by themselves. {@code mvn verify} leaves it out; {@code
 * mvn -pl agent -am test -Dtest=KernelBenchmark -Dsurefire.failIfNoSpecifiedTests=false} runs it.
 * Memory is touched beforehand, as that costs more than some kernels on some hosts.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 8, time = 1)
@Fork(
    value = 5,
    jvmArgsAppend = {"-Xms1g", "-Xmx1g", "-XX:+AlwaysPreTouch"})
public class KernelBenchmark {

  private static final int NEURONS = 1024;
  private static final int ROWS = 512;
  private static final int COLS = 1024;
  private static final int RANK = 64;

  private final Compute compute = Compute.cpu();
  private final Checkpoint checkpoint = Checkpoint.open(Path.of("../tests/fixtures/byte-moe"));
  private final WritableByteChannel nowhere = Channels.newChannel(OutputStream.nullOutputStream());
  private final float[] costs = new float[NEURONS * NEURONS];

  private Matrix weight;
  private Matrix moment;
  private ExpertWeights first;
  private ExpertWeights second;
  private Plan pairs;

  @Test
  @Timeout(value = 15, unit = TimeUnit.MINUTES)
  void shouldMeasureEachKernel() throws RunnerException {
    new Runner(new OptionsBuilder().include(KernelBenchmark.class.getName()).build()).run();
  }

  @Setup
  public void prepare() {
    Random random = new Random(1);
    for (int i = 0; i < costs.length; i++) {
      costs[i] = random.nextFloat();
    }
    weight = random(ROWS, COLS, random);
    Matrix inputs = random(2 * COLS, COLS, random);
    moment = compute.multiply(Transpose.YES, inputs, Transpose.NO, inputs);
    first = ExpertWeights.read(checkpoint, checkpoint.blocks().get(0), 0);
    second = ExpertWeights.read(checkpoint, checkpoint.blocks().get(0), 1);
    pairs =
        new Plan(
            "fixture",
            "m-smoe",
            Optional.empty(),
            Budget.UNIFORM,
            8,
            checkpoint.blocks().stream()
                .map(block -> pairs(block.name(), block.experts()))
                .toList());
  }

  /** Experts 0 and 1 are a group, 2 and 3, and so on. */
  private static LayerPlan pairs(String block, int experts) {
    List<Integer> labels = new ArrayList<>();
    for (int expert = 0; expert < experts; expert++) {
      labels.add(expert / 2);
    }
    List<Integer> dominant =
        IntStream.range(0, experts / 2).map(group -> 2 * group).boxed().toList();
    List<Double> weights = Collections.nCopies(experts, 1.0 / experts);
    return new LayerPlan(block, dominant, labels, weights, weights);
  }

  @TearDown
  public void close() {
    checkpoint.close();
  }

  @Benchmark
  public int[] assignRandomCosts() {
    return Assignment.leastCost(NEURONS, NEURONS, costs);
  }

  @Benchmark
  public int[] alignTrainedExperts() {
    return new Aligner(compute).permutation(first, second);
  }

  @Benchmark
  public FactoringProbe factorWhitened() {
    return FactoringProbe.whitened(compute, weight, moment, RANK);
  }

  @Benchmark
  public void mergeWeightedPairs() throws IOException {
    new Compressor(compute)
        .compress(
            checkpoint,
            pairs,
            new CompressOptions(Alignment.NONE, AlignmentCache.inMemory(), new Whole()),
            (block, tensors) -> {
              for (Tensor tensor : tensors) {
                tensor.bytes().writeTo(nowhere);
              }
            },
            Progress.none());
  }

  private static Matrix random(int rows, int cols, Random random) {
    Matrix matrix = Matrix.zeros(rows, cols);
    for (int i = 0; i < matrix.values().length; i++) {
      matrix.values()[i] = (float) random.nextGaussian();
    }
    return matrix;
  }
}
