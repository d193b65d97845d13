package dev.smelt.agent.merge;

/** Hears how far the alignment of a block is. Called from several threads at once. */
@FunctionalInterface
public interface AlignmentProgress {

  /**
   * @param block the block whose experts are aligned
   * @param done pairs of experts aligned
   * @param all pairs of the block that were not known before
   */
  void aligned(String block, int done, int all);

  static AlignmentProgress none() {
    return (block, done, all) -> {};
  }
}
