package dev.smelt.agent.bench;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.compute.Transpose;
import dev.smelt.agent.merge.Assignment;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.OptionalDouble;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;

/**
 * The linear assignment on random costs and on costs of two experts that are noisy, shuffled copies
 * of each other, beside SciPy's {@code linear_sum_assignment} where a Python has it.
 */
public final class AlignBench {

  private static final int INPUTS = 512;
  private static final float NOISE = 0.5f;

  private static final String SCIPY =
      """
      import sys, time, numpy
      from scipy.optimize import linear_sum_assignment
      n = int(sys.argv[2])
      costs = numpy.fromfile(sys.argv[1], dtype="<f4").reshape(n, n).astype(numpy.float64)
      times = []
      for _ in range(3):
          began = time.perf_counter()
          linear_sum_assignment(costs)
          times.append(time.perf_counter() - began)
      print(min(times))
      """;

  private AlignBench() {}

  /**
   * @param python interpreter to ask for SciPy
   */
  public static List<Figure> run(List<Integer> sizes, String python) throws IOException {
    List<Figure> figures = new ArrayList<>();
    for (int size : sizes) {
      figures.add(figure("random costs", size, random(size), python));
      figures.add(figure("expert costs", size, experts(size), python));
    }
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

  private static float[] random(int size) {
    Random random = new Random(size);
    float[] costs = new float[size * size];
    for (int i = 0; i < costs.length; i++) {
      costs[i] = random.nextFloat();
    }
    return costs;
  }

  private static float[] experts(int size) {
    Random random = new Random(size);
    List<Integer> order = new ArrayList<>(IntStream.range(0, size).boxed().toList());
    Collections.shuffle(order, random);
    Matrix first = Matrix.zeros(size, INPUTS);
    Matrix second = Matrix.zeros(size, INPUTS);
    for (int row = 0; row < size; row++) {
      for (int col = 0; col < INPUTS; col++) {
        float value = (float) random.nextGaussian();
        first.set(row, col, value);
        second.set(order.get(row), col, value + NOISE * (float) random.nextGaussian());
      }
    }
    float[] costs = Compute.cpu().multiply(Transpose.NO, first, Transpose.YES, second).values();
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
