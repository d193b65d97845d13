package dev.smelt.ops.demo;

import java.io.PrintWriter;
import java.time.Duration;
import java.util.Locale;

/**
 * Says on standard error what the demo is doing: one line that changes on a terminal, else lines.
 */
final class Progress {

  private static final long LINE_EVERY = Duration.ofSeconds(5).toNanos();

  private final PrintWriter out;
  private final boolean terminal = System.console() != null;
  private final long begun = System.nanoTime();
  private long lastLine;
  private int shown;

  Progress(PrintWriter out) {
    this.out = out;
  }

  /** Something that stays on the screen. */
  void step(String text) {
    clear();
    out.printf(Locale.ROOT, "%5.1f s  %s%n", seconds(), text);
    out.flush();
  }

  /** How things stand; the next one replaces it. */
  void status(String text) {
    if (terminal) {
      String line = String.format(Locale.ROOT, "%5.1f s  %s", seconds(), text);
      out.print("\r" + line + " ".repeat(Math.max(0, shown - line.length())));
      shown = line.length();
      out.flush();
    } else if (System.nanoTime() - lastLine > LINE_EVERY) {
      lastLine = System.nanoTime();
      step(text);
    }
  }

  private void clear() {
    if (shown > 0) {
      out.print("\r" + " ".repeat(shown) + "\r");
      shown = 0;
    }
  }

  private double seconds() {
    return (System.nanoTime() - begun) / 1e9;
  }
}
