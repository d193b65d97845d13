package dev.smelt.agent.statistics;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.compute.Transpose;

/** What enters a gated expert's down projection. */
final class GatedSilu {

  private GatedSilu() {}

  /**
   * @param inputs [tokens, d]
   * @param gate the gate projection, [F, d]
   * @param up the up projection, [F, d]
   * @return {@code silu(inputs gateᵀ) * (inputs upᵀ)}, [tokens, F]
   */
  static Matrix activations(Compute compute, Matrix inputs, Matrix gate, Matrix up) {
    return of(
        compute.multiply(Transpose.NO, inputs, Transpose.YES, gate),
        compute.multiply(Transpose.NO, inputs, Transpose.YES, up));
  }

  /** {@code silu(gate) * up}, in place of {@code gate}. */
  private static Matrix of(Matrix gate, Matrix up) {
    float[] values = gate.values();
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (values[i] / (1 + Math.exp(-values[i])) * up.values()[i]);
    }
    return gate;
  }
}
