package dev.smelt.agent.swap;

/** What is served after a swap. */
public sealed interface SwapResult {

  /** The wanted snapshot is served everywhere. */
  record Served(String snapshot) implements SwapResult {}

  /**
   * The previous snapshot is served everywhere, as before.
   *
   * @param reason what went wrong and what to do, for a person
   */
  record Kept(String previous, String reason) implements SwapResult {}

  /**
   * It is not known what is served, or nothing is.
   *
   * @param reason what went wrong and what to do, for a person
   */
  record Unknown(String reason) implements SwapResult {}
}
