package dev.smelt.agent.swap;

/**
 * A way to make engines serve other weights.
 *
 * <p>Failure semantics: a swap ends with the engine serving either the target or the previous
 * weights and the result saying which, or with {@link SwapResult.Unknown}, after which nothing may
 * be assumed and nothing is cleaned up. Failures of the engine are results and not exceptions. A
 * swap that the end of the agent interrupted is put right by the next one, whatever state the
 * engine was left in: an agent that starts swaps to what should be served.
 */
public interface SwapDriver {

  /**
   * Makes the engine serve the target. Blocks until that is settled, within the timeouts of the
   * driver's settings.
   *
   * @param target what to serve
   * @param previous what is served now, to return to
   */
  SwapResult swap(Serving target, Serving previous);

  /**
   * Whether the engine says that it serves something else, as after a restart of its own. An engine
   * that does not answer, or has no name for what it serves, says nothing.
   *
   * @param served what it is thought to serve
   */
  default boolean servesOther(Serving served) {
    return false;
  }
}
