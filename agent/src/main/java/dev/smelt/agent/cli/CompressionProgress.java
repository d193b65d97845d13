package dev.smelt.agent.cli;

import dev.smelt.agent.compress.Progress;

/** Shows a compression's progress: most of a block's time goes into aligning its experts. */
final class CompressionProgress implements Progress {

  private static final int STEPS_PER_BLOCK = 1000;

  private final ProgressLine line;
  private final int blocks;
  private volatile int finished;

  CompressionProgress(ProgressLine line, int blocks) {
    this.line = line;
    this.blocks = blocks;
  }

  @Override
  public void finished(String block, int done, int all) {
    finished = done;
    line.show(done, all);
  }

  @Override
  public void aligned(String block, int done, int all) {
    long steps = (long) STEPS_PER_BLOCK * finished + (long) STEPS_PER_BLOCK * done / (all + 1);
    line.show(steps, (long) STEPS_PER_BLOCK * blocks);
  }
}
