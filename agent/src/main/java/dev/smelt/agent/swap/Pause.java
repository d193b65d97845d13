package dev.smelt.agent.swap;

import java.time.Duration;

/** Waiting on the thread of a swap. */
final class Pause {

  private Pause() {}

  /** Waits; false if the thread was interrupted, whose flag then stays set. */
  static boolean of(Duration duration) {
    try {
      Thread.sleep(duration.toMillis());
      return true;
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      return false;
    }
  }
}
