package dev.smelt.agent.compress;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;

/** Lets benchmarks run a factorisation by itself. */
public final class FactoringProbe {

  private FactoringProbe() {}

  /** Factors a matrix for inputs of the given second moment. */
  public static void whitened(Compute compute, Matrix weight, Matrix moment, int rank) {
    LowRank.whitened(compute, weight, moment, rank);
  }
}
