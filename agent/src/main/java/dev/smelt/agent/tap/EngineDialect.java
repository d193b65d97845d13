package dev.smelt.agent.tap;

/** How an engine is asked for routed experts. */
public enum EngineDialect {
  /** Ask in the request, and take the answer in either engine's form. */
  AUTO,
  /** Started with its flag, the engine sends them with every answer that is not streamed. */
  VLLM,
  /** Asked in the request; streamed answers carry them in the last chunk. */
  SGLANG;

  boolean asksInRequest() {
    return this != VLLM;
  }
}
