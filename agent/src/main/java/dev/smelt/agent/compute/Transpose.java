package dev.smelt.agent.compute;

/** Whether an operand of {@link Compute#gemm} enters as it is or transposed. */
public enum Transpose {
  NO,
  YES
}
