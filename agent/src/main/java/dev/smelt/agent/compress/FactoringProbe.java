package dev.smelt.agent.compress;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import java.util.Arrays;

/** Lets benchmarks run a factorisation by itself. */
public final class FactoringProbe {

  private FactoringProbe() {}

  /**
   * Factors a matrix for inputs of the given second moment.
   *
   * @return {@code U V}
   */
  public static Matrix whitened(Compute compute, Matrix weight, Matrix moment, int rank) {
    return LowRank.whitened(compute, weight, moment, rank).product(compute);
  }

  /** The energy that outputs lose when one matrix stands for another. */
  public static double loss(Compute compute, Matrix weight, Matrix instead, Matrix moment) {
    Matrix residual = weight.copy();
    compute.accumulate(-1, instead, residual);
    return Arrays.stream(RowSparse.outputEnergy(compute, residual, moment)).sum();
  }
}
