package dev.smelt.agent.inference;

/** A gated expert, {@code y = down (silu(gate x) * (up x))}. */
record Expert(Linear gate, Linear up, Linear down) {

  /** Number of hidden neurons. */
  int width() {
    return up.rows();
  }

  long flops() {
    return gate.flops() + up.flops() + down.flops();
  }
}
