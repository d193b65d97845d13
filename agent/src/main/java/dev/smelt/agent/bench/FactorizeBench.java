package dev.smelt.agent.bench;

import dev.smelt.agent.compress.FactoringProbe;
import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.compute.SymmetricEigen;
import dev.smelt.agent.compute.Transpose;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import java.util.Random;

/**
 * Whitened low rank beside LAPACK's full singular value decomposition of the whitened matrix, in
 * time and in the energy that the outputs lose; on weights and inputs without any structure, which
 * is the hardest case, and on such as trained layers have, where few directions dominate.
 */
public final class FactorizeBench {

  private FactorizeBench() {}

  /**
   * @param rows h of the matrix
   * @param cols w of the matrix
   */
  public static List<Figure> run(int rows, int cols) {
    List<Figure> figures = new ArrayList<>();
    for (int share : new int[] {4, 8}) {
      int rank = Math.min(rows, cols) / share;
      add("even spectrum", rows, cols, rank, 0, figures);
      add("falling spectrum", rows, cols, rank, 0.5, figures);
    }
    return figures;
  }

  private static void add(
      String kind, int rows, int cols, int rank, double decay, List<Figure> figures) {
    Compute compute = Compute.cpu();
    Random random = new Random(1);
    Matrix weight = falling(random(rows, cols, random), decay);
    Matrix inputs = falling(random(2 * cols, cols, random), decay);
    Matrix moment = compute.multiply(Transpose.YES, inputs, Transpose.NO, inputs);
    Matrix whitened = whitened(compute, weight, moment);
    String what = "whitened low rank, %s, %d x %d to %d".formatted(kind, rows, cols, rank);
    figures.add(
        new Figure(
            what,
            Timing.fastest(() -> FactoringProbe.whitened(compute, weight, moment, rank)),
            "s",
            "LAPACK gesdd",
            OptionalDouble.of(Timing.fastest(() -> compute.svd(whitened)))));
    Matrix factored = FactoringProbe.whitened(compute, weight, moment, rank);
    double most = FactoringProbe.loss(compute, weight, Matrix.zeros(rows, cols), moment);
    figures.add(
        new Figure(
            "  its loss",
            FactoringProbe.loss(compute, weight, factored, moment) / most,
            "of all energy",
            "LAPACK gesdd",
            OptionalDouble.of(discarded(compute.svd(whitened).singular(), rank))));
  }

  /** {@code W R} with {@code R Rᵀ = C}, so that its best approximation loses least for C. */
  private static Matrix whitened(Compute compute, Matrix weight, Matrix moment) {
    SymmetricEigen eigen = compute.symmetricEigen(moment);
    Matrix root = eigen.vectors().copy();
    float[] factors = new float[root.rows()];
    for (int i = 0; i < factors.length; i++) {
      factors[i] = (float) Math.sqrt(Math.max(0, eigen.values()[i]));
    }
    root.scaleRows(factors);
    return compute.multiply(Transpose.NO, weight, Transpose.YES, root);
  }

  private static double discarded(float[] singular, int rank) {
    double all = 0;
    double discarded = 0;
    for (int i = 0; i < singular.length; i++) {
      double energy = (double) singular[i] * singular[i];
      all += energy;
      discarded += i < rank ? 0 : energy;
    }
    return discarded / all;
  }

  /** Scales column j by (j + 1)^-decay. */
  private static Matrix falling(Matrix matrix, double decay) {
    for (int i = 0; i < matrix.values().length; i++) {
      matrix.values()[i] *= (float) Math.pow(1 + i % matrix.cols(), -decay);
    }
    return matrix;
  }

  private static Matrix random(int rows, int cols, Random random) {
    Matrix matrix = Matrix.zeros(rows, cols);
    for (int i = 0; i < matrix.values().length; i++) {
      matrix.values()[i] = (float) random.nextGaussian();
    }
    return matrix;
  }
}
