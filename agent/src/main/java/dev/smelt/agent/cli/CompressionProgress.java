package dev.smelt.agent.cli;

import dev.smelt.agent.compress.Progress;

/**
 * Shows a compression's progress over all its passes: most of a block's time goes into aligning its
 * experts.
 */
final class CompressionProgress implements Progress {

  private static final int STEPS_PER_BLOCK = 1000;

  private final ProgressLine line;
  private final int blocks;
  private final int passes;
  private volatile int gone;

  /**
   * @param passes as {@link dev.smelt.agent.compress.Reduction#passes}
   */
  CompressionProgress(ProgressLine line, int blocks, int passes) {
    this.line = line;
    this.blocks = blocks;
    this.passes = passes;
  }

  @Override
  public void measured(String block, int done, int all) {
    through(done, 0);
  }

  @Override
  public void finished(String block, int done, int all) {
    through((passes - 1) * blocks + done, 0);
  }

  @Override
  public void aligned(String block, int done, int all) {
    through(gone, (double) done / (all + 1));
  }

  private void through(int whole, double more) {
    gone = whole;
    line.show((long) (STEPS_PER_BLOCK * (whole + more)), (long) STEPS_PER_BLOCK * passes * blocks);
  }
}
