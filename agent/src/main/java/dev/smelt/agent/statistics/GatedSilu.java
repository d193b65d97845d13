package dev.smelt.agent.statistics;

import dev.smelt.agent.compute.Matrix;

/** What enters a gated expert's down projection. */
final class GatedSilu {

  private GatedSilu() {}

  /** {@code silu(gate) * up}, in place of {@code gate}. */
  static Matrix of(Matrix gate, Matrix up) {
    float[] values = gate.values();
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (values[i] / (1 + Math.exp(-values[i])) * up.values()[i]);
    }
    return gate;
  }
}
