package dev.smelt.ops.demo;

import dev.smelt.agent.control.LoopState;
import dev.smelt.agent.control.ModelControl;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** Notes when a model's loop is activating, by looking often. */
final class SwapWatch implements AutoCloseable {

  private static final long LOOK_MILLIS = 5;

  private final ModelControl control;
  private final SwapTimes times = new SwapTimes();
  private final Thread thread = new Thread(this::watch, "demo-swap-watch");
  private long lastEnd = Long.MIN_VALUE;

  SwapWatch(ModelControl control) {
    this.control = control;
    thread.setDaemon(true);
    thread.start();
  }

  synchronized SwapTimes times() {
    return times;
  }

  /** When the newest swap ended, if that was after the given nano time. */
  synchronized Optional<Long> lastSwapAfter(long nanos) {
    return lastEnd > nanos ? Optional.of(lastEnd) : Optional.empty();
  }

  @Override
  public void close() throws InterruptedException {
    thread.interrupt();
    thread.join();
  }

  private void watch() {
    long since = 0;
    boolean swapping = false;
    try {
      while (!Thread.currentThread().isInterrupted()) {
        boolean now = control.state() instanceof LoopState.Activating;
        if (now && !swapping) {
          since = System.nanoTime();
        } else if (!now && swapping) {
          ended(since, System.nanoTime());
        }
        swapping = now;
        TimeUnit.MILLISECONDS.sleep(LOOK_MILLIS);
      }
    } catch (InterruptedException closing) {
      Thread.currentThread().interrupt();
    }
  }

  private synchronized void ended(long from, long to) {
    times.add(from, to);
    lastEnd = to;
  }
}
