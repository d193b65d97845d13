package dev.smelt.agent.bench;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.merge.Aligner;
import dev.smelt.agent.merge.Alignment;
import dev.smelt.agent.merge.AlignmentCache;
import dev.smelt.agent.merge.AlignmentProgress;
import dev.smelt.agent.merge.Assignment;
import dev.smelt.agent.merge.BlockAligner;
import dev.smelt.agent.merge.ExpertWeights;
import dev.smelt.agent.plan.LayerPlan;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;

/**
 * The linear assignment on random costs and on costs of trained neurons, to a noisy, shuffled copy
 * of themselves and to others, beside SciPy's {@code linear_sum_assignment} where a Python has it;
 * then all pairs of a checkpoint on all processors.
 */
public final class AlignBench {

  private static final float NOISE = 0.5f;

  private static final String SCIPY =
      """
      import sys, time, numpy
      from scipy.optimize import linear_sum_assignment
      n = int(sys.argv[2])
      costs = numpy.fromfile(sys.argv[1], dtype="<f4").reshape(n, n).astype(numpy.float64)
      times = []
      for _ in range(3 if n < 4096 else 1):
          began = time.perf_counter()
          linear_sum_assignment(costs)
          times.append(time.perf_counter() - began)
      print(min(times))
      """;

  private AlignBench() {}

  /**
   * @param checkpoint whose experts are aligned; needs twice as many neurons as the largest size
   * @param python interpreter to ask for SciPy
   */
  public static List<Figure> run(List<Integer> sizes, Checkpoint checkpoint, String python)
      throws IOException {
    List<Figure> figures = new ArrayList<>();
    for (int size : sizes) {
      ExpertWeights reference = neurons(checkpoint, 0, size);
      figures.add(figure("random costs", size, random(size), python));
      figures.add(
          figure("a noisy shuffled copy", size, costs(reference, noisyCopy(reference)), python));
      figures.add(
          figure(
              "other trained neurons",
              size,
              costs(reference, neurons(checkpoint, size, size)),
              python));
    }
    figures.add(allPairs(checkpoint));
    return figures;
  }

  private static Figure figure(String kind, int size, float[] costs, String python)
      throws IOException {
    return new Figure(
        "assignment, %s, n = %d".formatted(kind, size),
        Timing.fastest(() -> Assignment.leastCost(size, size, costs)),
        "s",
        "SciPy",
        scipy(costs, size, python));
  }

  private static Figure allPairs(Checkpoint checkpoint) {
    double together =
        Timing.fastest(
            () -> {
              BlockAligner aligner =
                  new BlockAligner(
                      checkpoint,
                      Alignment.EXPERT_0,
                      AlignmentCache.inMemory(),
                      Compute.cpu(),
                      AlignmentProgress.none());
              checkpoint
                  .blocks()
                  .forEach(block -> aligner.align(block, oneGroup(block), group -> true));
            });
    double oneByOne =
        Timing.fastest(
            () -> checkpoint.blocks().forEach(block -> alignOneByOne(checkpoint, block)));
    return new Figure(
        "all experts of a checkpoint, to expert 0",
        together,
        "s",
        "one pair at a time",
        OptionalDouble.of(oneByOne));
  }

  private static LayerPlan oneGroup(MoeBlock block) {
    List<Double> evenly = Collections.nCopies(block.experts(), 1.0 / block.experts());
    return new LayerPlan(
        block.name(), List.of(0), Collections.nCopies(block.experts(), 0), evenly, evenly);
  }

  private static void alignOneByOne(Checkpoint checkpoint, MoeBlock block) {
    Aligner aligner = new Aligner(Compute.cpu());
    for (int member = 1; member < block.experts(); member++) {
      aligner.permutation(
          ExpertWeights.read(checkpoint, block, 0), ExpertWeights.read(checkpoint, block, member));
    }
  }

  private static float[] random(int size) {
    Random random = new Random(size);
    float[] costs = new float[size * size];
    for (int i = 0; i < costs.length; i++) {
      costs[i] = random.nextFloat();
    }
    return costs;
  }

  /** Neurons of a checkpoint's experts, taken one expert after the other, as one wide expert. */
  private static ExpertWeights neurons(Checkpoint checkpoint, int from, int count) {
    List<ExpertWeights> experts = new ArrayList<>();
    int passed = 0;
    for (MoeBlock block : checkpoint.blocks()) {
      for (int expert = 0; expert < block.experts(); expert++) {
        if (passed + block.width() > from && passed < from + count) {
          experts.add(ExpertWeights.read(checkpoint, block, expert));
        }
        passed += block.width();
      }
    }
    if (passed < from + count) {
      throw new IllegalArgumentException(
          "%s has %d neurons, the benchmark needs %d: choose smaller sizes"
              .formatted(checkpoint.directory(), passed, from + count));
    }
    int first = from % experts.get(0).width();
    Map<Role, Matrix> matrices = new EnumMap<>(Role.class);
    for (Role role : List.of(Role.GATE, Role.UP, Role.DOWN)) {
      if (experts.get(0).matrices().containsKey(role)) {
        Matrix rows = stacked(experts, role).rows(first, first + count);
        matrices.put(role, role == Role.DOWN ? rows.transpose() : rows);
      }
    }
    return new ExpertWeights(matrices);
  }

  /** One row per neuron. */
  private static Matrix stacked(List<ExpertWeights> experts, Role role) {
    int inputs = experts.get(0).matrix(Role.UP).cols();
    int neurons = experts.stream().mapToInt(ExpertWeights::width).sum();
    Matrix stacked = Matrix.zeros(neurons, inputs);
    int at = 0;
    for (ExpertWeights expert : experts) {
      Matrix matrix = expert.matrix(role);
      float[] values = (role == Role.DOWN ? matrix.transpose() : matrix).values();
      System.arraycopy(values, 0, stacked.values(), at, values.length);
      at += values.length;
    }
    return stacked;
  }

  private static ExpertWeights noisyCopy(ExpertWeights expert) {
    Random random = new Random(1);
    List<Integer> order = new ArrayList<>(IntStream.range(0, expert.width()).boxed().toList());
    Collections.shuffle(order, random);
    ExpertWeights copy = expert.permuted(order.stream().mapToInt(Integer::intValue).toArray());
    for (Matrix matrix : copy.matrices().values()) {
      float[] values = matrix.values();
      double noise = NOISE * matrix.norm() / Math.sqrt(values.length);
      for (int i = 0; i < values.length; i++) {
        values[i] += (float) (noise * random.nextGaussian());
      }
    }
    return copy;
  }

  private static float[] costs(ExpertWeights reference, ExpertWeights member) {
    float[] costs = new Aligner(Compute.cpu()).likeness(reference, member).values();
    for (int i = 0; i < costs.length; i++) {
      costs[i] = -costs[i];
    }
    return costs;
  }

  private static OptionalDouble scipy(float[] costs, int size, String python) throws IOException {
    Path file = Files.createTempFile("costs", ".f32");
    try {
      ByteBuffer bytes =
          ByteBuffer.allocate(costs.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
      bytes.asFloatBuffer().put(costs);
      Files.write(file, bytes.array());
      Process process =
          new ProcessBuilder(python, "-c", SCIPY, file.toString(), Integer.toString(size))
              .redirectError(ProcessBuilder.Redirect.DISCARD)
              .start();
      String answer =
          new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
      return process.waitFor(1, TimeUnit.MINUTES) && process.exitValue() == 0
          ? OptionalDouble.of(Double.parseDouble(answer))
          : OptionalDouble.empty();
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      return OptionalDouble.empty();
    } finally {
      Files.delete(file);
    }
  }
}
