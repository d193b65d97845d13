package dev.smelt.agent.control;

import dev.smelt.store.snapshot.Manifest;

/** Makes the engines of a model serve a snapshot. Called by one thread at a time. */
@FunctionalInterface
public interface Activator {

  /**
   * Returns when every replica serves the snapshot, or one is known not to.
   *
   * @param snapshot which; one without tensors stands for the full model
   */
  Result activate(Manifest snapshot);

  /**
   * Whether what the engines serve may have changed otherwise since this was last asked: somebody
   * else swapped, or an engine was started anew.
   */
  default boolean disturbed() {
    return false;
  }

  /** What the engines serve afterwards. */
  sealed interface Result {

    /** The snapshot, in every replica. */
    record Served() implements Result {}

    /**
     * What they served before.
     *
     * @param reason names the engine and what to do
     */
    record Kept(String reason) implements Result {}

    /**
     * Not known; asking again is safe.
     *
     * @param reason names the engine and what to do
     */
    record Unknown(String reason) implements Result {}
  }
}
