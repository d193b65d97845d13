package dev.smelt.agent.inference;

/**
 * Sees what happens inside the sparse blocks of a forward pass, on the thread that runs it. For
 * each layer first the routing, then each expert that any token was routed to.
 */
public interface ForwardObserver {

  /** Sees nothing. */
  ForwardObserver NONE = new ForwardObserver() {};

  default void routed(Routing routing) {}

  default void calculated(ExpertBatch batch) {}
}
