package dev.smelt.agent.bench;

import dev.smelt.agent.compress.FactoringProbe;
import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.compute.Transpose;
import java.util.List;
import java.util.OptionalDouble;
import java.util.Random;

/** Whitened low rank beside a full singular value decomposition of the same matrix. */
public final class FactorizeBench {

  private FactorizeBench() {}

  /**
   * @param rows h of the matrix
   * @param cols w of the matrix
   */
  public static List<Figure> run(int rows, int cols) {
    Compute compute = Compute.cpu();
    Random random = new Random(1);
    Matrix weight = random(rows, cols, random);
    Matrix inputs = random(2 * cols, cols, random);
    Matrix moment = compute.multiply(Transpose.YES, inputs, Transpose.NO, inputs);
    int rank = Math.min(rows, cols) / 4;
    return List.of(
        new Figure(
            "whitened low rank, %d x %d to %d".formatted(rows, cols, rank),
            Timing.fastest(() -> FactoringProbe.whitened(compute, weight, moment, rank)),
            "s",
            "LAPACK gesdd",
            OptionalDouble.of(Timing.fastest(() -> compute.svd(weight)))));
  }

  private static Matrix random(int rows, int cols, Random random) {
    Matrix matrix = Matrix.zeros(rows, cols);
    for (int i = 0; i < matrix.values().length; i++) {
      matrix.values()[i] = (float) random.nextGaussian();
    }
    return matrix;
  }
}
