package dev.smelt.agent.compress;

/** Hears how far a compression is. */
@FunctionalInterface
public interface Progress {

  /**
   * Called from the thread that compresses.
   *
   * @param block the block that has just been finished
   * @param done blocks finished
   * @param all blocks altogether
   */
  void finished(String block, int done, int all);

  /**
   * Called from the thread that compresses, before any block is finished, where all are looked at
   * first.
   *
   * @param block the block that has just been looked at
   * @param done blocks looked at
   * @param all blocks altogether
   */
  default void measured(String block, int done, int all) {}

  /**
   * Called from several threads at once.
   *
   * @param block the block whose experts are aligned
   * @param done pairs of experts aligned
   * @param all pairs of the block that were not known before
   */
  default void aligned(String block, int done, int all) {}

  static Progress none() {
    return (block, done, all) -> {};
  }
}
