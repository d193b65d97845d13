package dev.smelt.agent.cli;

import java.io.PrintWriter;
import java.util.Locale;

/**
 * Shows how far long work is: a bar that is redrawn on a terminal, a line for each tenth in a pipe.
 * Safe for use by several threads.
 */
final class ProgressLine {

  private static final int WIDTH = 30;

  private final PrintWriter out;
  private final String what;
  private final boolean terminal;
  private int shown = -1;

  /**
   * @param out usually standard error, so that results can be piped
   * @param what is being done
   */
  ProgressLine(PrintWriter out, String what) {
    this(out, what, System.console() != null);
  }

  ProgressLine(PrintWriter out, String what, boolean terminal) {
    this.out = out;
    this.what = what;
    this.terminal = terminal;
  }

  /** Tells how much is done; what was told before and is less is ignored. */
  synchronized void show(long done, long all) {
    int percent = all == 0 ? 100 : (int) (100 * done / all);
    int step = terminal ? percent : percent / 10;
    if (step <= shown) {
      return;
    }
    shown = step;
    if (terminal) {
      int filled = WIDTH * percent / 100;
      out.printf(
          Locale.ROOT,
          "\r%s [%s%s] %3d %%",
          what,
          "#".repeat(filled),
          "-".repeat(WIDTH - filled),
          percent);
      if (percent == 100) {
        out.println();
      }
    } else {
      out.printf(Locale.ROOT, "%s: %d %%%n", what, percent);
    }
    out.flush();
  }
}
