package dev.smelt.agent.cli;

import java.io.PrintWriter;
import java.util.Locale;
import java.util.function.LongSupplier;

/**
 * Shows how far long work is and how long the rest will take at the rate so far: a bar that is
 * redrawn on a terminal, a line for each tenth in a pipe. Safe for use by several threads.
 */
final class ProgressLine {

  private static final int WIDTH = 30;
  private static final long SECOND = 1_000_000_000L;
  private static final String CLEAR_TO_END = "\u001b[K";

  private final PrintWriter out;
  private final String what;
  private final boolean terminal;
  private final LongSupplier nanos;
  private final long began;
  private int shown = -1;
  private long doneAtOnce;

  /**
   * @param out usually standard error, so that results can be piped
   * @param what is being done
   */
  ProgressLine(PrintWriter out, String what) {
    this(out, what, System.console() != null, System::nanoTime);
  }

  /**
   * @param nanos a clock that never goes back
   */
  ProgressLine(PrintWriter out, String what, boolean terminal, LongSupplier nanos) {
    this.out = out;
    this.what = what;
    this.terminal = terminal;
    this.nanos = nanos;
    this.began = nanos.getAsLong();
  }

  /** Tells how much is done; what was told before and is less is ignored. */
  synchronized void show(long done, long all) {
    long passed = nanos.getAsLong() - began;
    if (passed < SECOND) {
      doneAtOnce = done;
    }
    int percent = all == 0 ? 100 : (int) (100 * done / all);
    int step = terminal ? percent : percent / 10;
    if (step <= shown) {
      return;
    }
    shown = step;
    String rest = left(done, all, passed);
    if (terminal) {
      int filled = WIDTH * percent / 100;
      out.printf(
          Locale.ROOT,
          "\r%s [%s%s] %3d %%%s%s",
          what,
          "#".repeat(filled),
          "-".repeat(WIDTH - filled),
          percent,
          rest,
          CLEAR_TO_END);
      if (percent == 100) {
        out.println();
      }
    } else {
      out.printf(Locale.ROOT, "%s: %d %%%s%n", what, percent, rest);
    }
    out.flush();
  }

  /** What was done in the first second had been done before and says nothing about the rate. */
  private String left(long done, long all, long passed) {
    if (done == doneAtOnce || done >= all || passed < SECOND) {
      return "";
    }
    long seconds = Math.round((double) passed / SECOND * (all - done) / (done - doneAtOnce));
    if (seconds < 60) {
      return ", %d s left".formatted(seconds);
    }
    return seconds < 3600
        ? ", %d min %02d s left".formatted(seconds / 60, seconds % 60)
        : ", %d h %02d min left".formatted(seconds / 3600, seconds % 3600 / 60);
  }
}
