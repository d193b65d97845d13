package dev.smelt.store.checkpoint;

/** What stands between an expert's first and last matrix. */
public enum Activation {
  /** {@code down · relu(up · x)}. */
  RELU,
  /** {@code down · gelu(up · x)}, or gated where a gate exists. */
  GELU,
  /** {@code down · (silu(gate · x) * (up · x))}. */
  SILU,
  /**
   * gpt-oss: {@code down · ((up + 1) * gate * sigmoid(1.702 gate))}, gate clamped from above and up
   * on both sides at 7.
   */
  CLAMPED_SWISH
}
