package dev.smelt.agent.bench;

import dev.smelt.agent.compress.FactoringProbe;
import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.compute.SideBySide;
import dev.smelt.agent.compute.Transpose;
import dev.smelt.agent.compute.WhiteningProbe;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import java.util.Random;
import java.util.stream.IntStream;

/**
 * Whitened low rank beside the same by LAPACK's full singular value decomposition, both from
 * weights and second moment to both factors, in time and in the energy that the outputs lose; on
 * weights and inputs without any structure, which is the hardest case, and on such as trained
 * layers have, where few directions dominate.
 *
 * <p>One matrix alone, where the peer's LAPACK has one processor or all; and several of them side
 * by side with one processor each, which is faster for both.
 */
public final class FactorizeBench {

  /** How many matrices of one shape are factored side by side. */
  private static final int LAYER = 8;

  private static final int ROUNDS = 8;

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
    List<Problem> layer =
        IntStream.range(0, LAYER).mapToObj(seed -> Problem.of(rows, cols, decay, seed)).toList();
    Problem one = layer.get(0);
    Factorisation ours =
        problem -> FactoringProbe.whitened(compute, problem.weight(), problem.moment(), rank);
    GesddFactoring gesdd = new GesddFactoring(compute, rank);
    Factorisation peer = problem -> gesdd.factors(problem.weight(), problem.moment());
    Matrix whitened = compute.multiply(one.weight(), WhiteningProbe.root(one.moment()));

    double[] seconds =
        Timing.fastest(
            ROUNDS,
            List.of(
                () -> ours.of(one),
                () -> peer.of(one),
                () -> WhiteningProbe.withAllProcessors(() -> peer.of(one)),
                () -> WhiteningProbe.withAllProcessors(() -> WhiteningProbe.svd(whitened)),
                () -> SideBySide.map(LAYER, layer, ours::of),
                () -> SideBySide.map(LAYER, layer, peer::of)));
    addRatio(
        "whitened low rank, %s, %d x %d to %d".formatted(kind, rows, cols, rank),
        seconds[0],
        "the same by LAPACK gesdd on one processor",
        seconds[1],
        figures);
    addRatio(
        "  the same matrix", seconds[0], "LAPACK gesdd on all processors", seconds[2], figures);
    figures.add(
        new Figure(
            "  without whitening the peer's input and its factors back",
            seconds[0],
            "s",
            "LAPACK gesdd on all processors",
            OptionalDouble.of(seconds[3])));
    addRatio(
        "  %d matrices side by side, each".formatted(LAYER),
        seconds[4] / LAYER,
        "by LAPACK gesdd side by side",
        seconds[5] / LAYER,
        figures);
    double most = one.loss(Matrix.zeros(rows, cols));
    figures.add(
        new Figure(
            "  its loss",
            one.loss(ours.of(one).product(compute)) / most,
            "of all energy",
            "LAPACK gesdd",
            OptionalDouble.of(one.loss(peer.of(one).product(compute)) / most)));
  }

  private static void addRatio(
      String what, double ours, String peer, double peers, List<Figure> figures) {
    figures.add(new Figure(what, ours, "s", peer, OptionalDouble.of(peers)));
    figures.add(
        new Figure("  times faster", peers / ours, "times", "target", OptionalDouble.of(5)));
  }

  private interface Factorisation {
    FactoringProbe of(Problem problem);
  }

  /** A weight and the second moment of its inputs. */
  private record Problem(Matrix weight, Matrix moment) {

    static Problem of(int rows, int cols, double decay, int seed) {
      Random random = new Random(seed);
      Matrix weight = falling(random(rows, cols, random), decay);
      Matrix inputs = falling(random(2 * cols, cols, random), decay);
      return new Problem(
          weight, Compute.cpu().multiply(Transpose.YES, inputs, Transpose.NO, inputs));
    }

    double loss(Matrix instead) {
      return FactoringProbe.loss(Compute.cpu(), weight, instead, moment);
    }
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
