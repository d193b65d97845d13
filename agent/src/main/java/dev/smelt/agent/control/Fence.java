package dev.smelt.agent.control;

import java.util.function.Supplier;

/** Lets the agent that acts for a model do so, and keeps out one that no longer does. */
public interface Fence {

  /** For an agent that is alone. */
  Fence OPEN =
      new Fence() {
        @Override
        public <T> T guard(Supplier<T> work) {
          return work.get();
        }
      };

  /**
   * Does something that only the acting agent may. Nobody takes over while it is done.
   *
   * @throws Deposed if another agent acts now; nothing was done then
   */
  <T> T guard(Supplier<T> work);

  /** Another agent acts now. */
  final class Deposed extends IllegalStateException {

    /**
     * @param leader who acts now
     */
    public Deposed(String leader) {
      super("another agent acts now: " + leader);
    }
  }
}
