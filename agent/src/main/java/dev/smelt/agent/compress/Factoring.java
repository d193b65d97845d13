package dev.smelt.agent.compress;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.merge.ExpertWeights;
import dev.smelt.agent.plan.Plan;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import java.util.ArrayList;
import java.util.List;

/**
 * Each weight of a merged expert becomes {@code U V + S} by truncated SVD, as in MC-SMoE.
 *
 * @param rankRatio share of the matrix that U and V may take together, above 0 and at most 1
 * @param keep share of the residual's entries whose rows are kept in S, from 0 to 1
 */
public record Factoring(double rankRatio, double keep) implements Reduction {

  /** How much of a memory budget goes to low rank; the rest goes to kept rows. */
  private static final double LOW_RANK_SHARE = 0.75;

  public Factoring {
    if (!(rankRatio > 0 && rankRatio <= 1)) {
      throw new CompressionException(
          "a rank ratio of " + rankRatio + " is outside the possible: choose above 0, at most 1");
    }
    if (!(keep >= 0 && keep <= 1)) {
      throw new CompressionException(
          "a keep ratio of " + keep + " is outside the possible: choose between 0 and 1");
    }
  }

  /**
   * The ratios, the same for all matrices, with which the experts of a plan's groups fit into a
   * memory budget.
   *
   * @throws CompressionException if the low-rank factors alone do not fit
   */
  static Factoring within(long bytes, Checkpoint checkpoint, Plan plan) {
    List<Shape> shapes = shapes(checkpoint, plan);
    long biases = shapes.stream().filter(Shape::bias).mapToLong(Shape::bytes).sum();
    List<Shape> matrices = shapes.stream().filter(shape -> !shape.bias()).toList();
    long whole = matrices.stream().mapToLong(Shape::bytes).sum();
    double ratio =
        Math.min(1, Math.max(Double.MIN_NORMAL, LOW_RANK_SHARE * (bytes - biases) / whole));
    long factors = matrices.stream().mapToLong(shape -> shape.factorBytes(ratio)).sum();
    long left = bytes - biases - factors;
    if (left < 0) {
      throw new CompressionException(
          "a budget of %d bytes is below the %d that low-rank factors of each matrix take"
              .formatted(bytes, biases + factors));
    }
    // Entries are kept row by row: one row more than their share, of those that take most.
    long largestRow = matrices.stream().mapToLong(Shape::rowBytes).max().orElse(0);
    double entry = matrices.stream().mapToDouble(Shape::entryBytes).max().orElse(1);
    long entries = matrices.stream().mapToLong(Shape::entries).sum();
    return new Factoring(ratio, Math.min(1, Math.max(0, left - largestRow) / (entry * entries)));
  }

  /** As many matrices of one shape as a block has groups. */
  private record Shape(boolean bias, long groups, int rows, int cols, int elementBytes) {

    long entries() {
      return groups * rows * cols;
    }

    long bytes() {
      return entries() * elementBytes;
    }

    long factorBytes(double ratio) {
      return groups * LowRank.rank(ratio, rows, cols) * (rows + cols) * elementBytes;
    }

    /** Of one row that is kept, with its index. */
    long rowBytes() {
      return (long) cols * elementBytes + Integer.BYTES;
    }

    /** Of one entry of such a row. */
    double entryBytes() {
      return (double) rowBytes() / cols;
    }
  }

  private static List<Shape> shapes(Checkpoint checkpoint, Plan plan) {
    List<Shape> shapes = new ArrayList<>();
    for (MoeBlock block : checkpoint.blocks()) {
      for (Role role : block.roles()) {
        shapes.add(
            new Shape(
                role.bias(),
                plan.layer(block.name()).orElseThrow().groups(),
                role.rows(block.hidden(), block.width()),
                role.columns(block.hidden(), block.width()),
                checkpoint.expertDType(block, role).bytes()));
      }
    }
    return shapes;
  }

  @Override
  public Writer prepare(MergedGroups groups) {
    double threshold = threshold(groups);
    return block ->
        (tensors, merged) ->
            merged
                .weights()
                .matrices()
                .forEach(
                    (role, matrix) -> {
                      if (role.bias()) {
                        tensors.whole(role, matrix);
                      } else {
                        LowRank lowRank = lowRank(groups.compute(), matrix);
                        Matrix residual = lowRank.residual(groups.compute(), matrix);
                        tensors.factored(
                            role,
                            lowRank,
                            RowSparse.atLeast(threshold, RowSparse.magnitude(residual), residual));
                      }
                    });
  }

  @Override
  public int passes() {
    return keep == 0 || keep == 1 ? 1 : 2;
  }

  /**
   * The threshold is one for all matrices that are made, so that it takes a pass of its own: to
   * factor everything twice costs time, to keep everything would cost memory without bound.
   */
  private double threshold(MergedGroups groups) {
    if (keep == 0) {
      return Double.POSITIVE_INFINITY;
    }
    if (keep == 1) {
      return 0;
    }
    List<RowSparse.Importance> residuals = new ArrayList<>();
    for (MoeBlock block : groups.blocks()) {
      groups
          .each(block, (group, merged) -> residuals(groups.compute(), merged.weights()))
          .forEach(residuals::addAll);
    }
    return RowSparse.threshold(residuals, keep);
  }

  private List<RowSparse.Importance> residuals(Compute compute, ExpertWeights merged) {
    List<RowSparse.Importance> residuals = new ArrayList<>();
    merged
        .matrices()
        .forEach(
            (role, matrix) -> {
              if (!role.bias()) {
                Matrix residual = lowRank(compute, matrix).residual(compute, matrix);
                residuals.add(
                    new RowSparse.Importance(RowSparse.magnitude(residual), residual.cols()));
              }
            });
    return residuals;
  }

  private LowRank lowRank(Compute compute, Matrix matrix) {
    return LowRank.plain(compute, matrix, LowRank.rank(rankRatio, matrix.rows(), matrix.cols()));
  }
}
