package dev.smelt.agent.compress;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.merge.ExpertWeights;
import dev.smelt.store.checkpoint.MoeBlock;
import java.util.ArrayList;
import java.util.List;

/**
 * Each weight of a merged expert becomes {@code U V + S} by truncated SVD, as in MC-SMoE.
 *
 * @param rankRatio share of the matrix that U and V may take together, above 0 and at most 1
 * @param keep share of the residual's entries whose rows are kept in S, from 0 to 1
 */
public record Factoring(double rankRatio, double keep) implements Reduction {

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

  @Override
  public Writer prepare(MergedGroups groups) {
    double threshold = threshold(groups);
    return (tensors, group, merged) ->
        merged
            .weights()
            .matrices()
            .forEach(
                (role, matrix) -> {
                  if (role.bias()) {
                    tensors.whole(group, role, matrix);
                  } else {
                    LowRank lowRank = lowRank(groups.compute(), matrix);
                    Matrix residual = lowRank.residual(groups.compute(), matrix);
                    tensors.factored(
                        group,
                        role,
                        lowRank,
                        RowSparse.atLeast(threshold, RowSparse.magnitude(residual), residual));
                  }
                });
  }

  /**
   * The threshold is one for all matrices of the model, so that it takes a pass of its own: to
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
      groups.each(
          block, (group, merged) -> addResiduals(groups.compute(), merged.weights(), residuals));
    }
    return RowSparse.threshold(residuals, keep);
  }

  private void addResiduals(
      Compute compute, ExpertWeights merged, List<RowSparse.Importance> residuals) {
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
  }

  private LowRank lowRank(Compute compute, Matrix matrix) {
    return LowRank.ofSvd(compute, matrix, LowRank.rank(rankRatio, matrix.rows(), matrix.cols()));
  }
}
