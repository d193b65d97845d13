package dev.smelt.agent.compress;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import java.util.Arrays;

/**
 * Lets benchmarks run a factorisation by itself.
 *
 * @param left U
 * @param right V
 */
public record FactoringProbe(Matrix left, Matrix right) {

  /** Factors a matrix for inputs of the given second moment. */
  public static FactoringProbe whitened(Compute compute, Matrix weight, Matrix moment, int rank) {
    LowRank factors = LowRank.whitened(compute, weight, moment, rank);
    return new FactoringProbe(factors.left(), factors.right());
  }

  /** {@code U V}. */
  public Matrix product(Compute compute) {
    return compute.multiply(left, right);
  }

  /** The energy that outputs lose when one matrix stands for another. */
  public static double loss(Compute compute, Matrix weight, Matrix instead, Matrix moment) {
    Matrix residual = weight.copy();
    compute.accumulate(-1, instead, residual);
    return Arrays.stream(RowSparse.outputEnergy(compute, residual, moment)).sum();
  }
}
