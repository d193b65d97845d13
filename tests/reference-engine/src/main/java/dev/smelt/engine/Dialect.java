package dev.smelt.engine;

/** Whose interface the engine speaks beside OpenAI's. */
enum Dialect {
  VLLM,
  SGLANG,
  BOTH;

  boolean vllm() {
    return this != SGLANG;
  }

  boolean sglang() {
    return this != VLLM;
  }
}
