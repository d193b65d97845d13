package dev.smelt.agent.compress;

/** Hears how far a compression is. Called from the thread that compresses. */
@FunctionalInterface
public interface Progress {

  /**
   * @param block the block that has just been finished
   * @param done blocks finished
   * @param all blocks altogether
   */
  void finished(String block, int done, int all);

  static Progress none() {
    return (block, done, all) -> {};
  }
}
