package dev.smelt.agent.bench;

import dev.smelt.agent.compress.FactoringProbe;
import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.compute.Transpose;
import dev.smelt.agent.compute.WhiteningProbe;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import java.util.Random;

/**
 * Whitened low rank beside the same by LAPACK's full singular value decomposition, both from
 * weights and second moment to both factors, in time and in the energy that the outputs lose; on
 * weights and inputs without any structure, which is the hardest case, and on such as trained
 * layers have, where few directions dominate.
 */
public final class FactorizeBench {

  private FactorizeBench() {}

  /**
   * @param rows h of the matrix
   * @param cols w of the matrix
   */
  public static List<Figure> run(int rows, int cols) {
    List<Figure> figures = new ArrayList<>();
    addProducts(rows, cols, figures);
    for (int share : new int[] {4, 8}) {
      int rank = Math.min(rows, cols) / share;
      add("even spectrum", rows, cols, rank, 0, figures);
      add("falling spectrum", rows, cols, rank, 0.5, figures);
    }
    return figures;
  }

  /** What products cost here, and the one that every factorisation begins with. */
  private static void addProducts(int rows, int cols, List<Figure> figures) {
    Compute compute = Compute.cpu();
    Random random = new Random(1);
    Matrix weight = random(rows, cols, random);
    Matrix moment = random(cols, cols, random);
    double seconds = Timing.fastest(() -> compute.multiply(weight, moment));
    figures.add(
        new Figure(
            "matrix products, %d x %d by %d x %d".formatted(rows, cols, cols, cols),
            2.0 * rows * cols * cols / seconds / 1e9,
            "GFLOP/s",
            "nothing",
            OptionalDouble.empty()));
    figures.add(
        new Figure(
            "the outputs' second moment",
            Timing.fastest(() -> compute.congruence(weight, moment)),
            "s",
            "as two full products",
            OptionalDouble.of(
                Timing.fastest(
                    () ->
                        compute.multiply(
                            Transpose.NO,
                            compute.multiply(weight, moment),
                            Transpose.YES,
                            weight)))));
  }

  private static void add(
      String kind, int rows, int cols, int rank, double decay, List<Figure> figures) {
    Compute compute = Compute.cpu();
    Random random = new Random(1);
    Matrix weight = falling(random(rows, cols, random), decay);
    Matrix inputs = falling(random(2 * cols, cols, random), decay);
    Matrix moment = compute.multiply(Transpose.YES, inputs, Transpose.NO, inputs);
    GesddFactoring peer = new GesddFactoring(compute, rank);
    Matrix whitened = compute.multiply(weight, WhiteningProbe.root(moment));
    String what = "whitened low rank, %s, %d x %d to %d".formatted(kind, rows, cols, rank);
    double ours = Timing.fastest(() -> FactoringProbe.whitened(compute, weight, moment, rank));
    double decomposition = Timing.fastest(() -> compute.svd(whitened));
    double whole = Timing.fastest(() -> peer.factors(weight, moment));
    figures.add(new Figure(what, ours, "s", "the same by LAPACK gesdd", OptionalDouble.of(whole)));
    figures.add(
        new Figure("  times faster", whole / ours, "times", "target", OptionalDouble.of(5)));
    figures.add(
        new Figure(
            "  without whitening the peer's input and its factors back",
            ours,
            "s",
            "LAPACK gesdd alone",
            OptionalDouble.of(decomposition)));
    Matrix factored = FactoringProbe.whitened(compute, weight, moment, rank).product(compute);
    Matrix decomposed = peer.factors(weight, moment).product(compute);
    double most = FactoringProbe.loss(compute, weight, Matrix.zeros(rows, cols), moment);
    figures.add(
        new Figure(
            "  its loss",
            FactoringProbe.loss(compute, weight, factored, moment) / most,
            "of all energy",
            "LAPACK gesdd",
            OptionalDouble.of(FactoringProbe.loss(compute, weight, decomposed, moment) / most)));
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
