package dev.smelt.agent.control;

import org.jspecify.annotations.Nullable;

/**
 * Lets other threads break off a stretch of one thread's work, but never its writing: an interrupt
 * in the middle of a write would close the file.
 */
final class Interruption {

  private @Nullable Thread worker;
  private boolean asked;
  private boolean shielded;

  /** From here on the calling thread may be interrupted. */
  synchronized void allow() {
    worker = Thread.currentThread();
    asked = false;
  }

  /** From here on it may not; what was asked meanwhile stays known until the next stretch. */
  synchronized void forbid() {
    worker = null;
    Thread.interrupted();
  }

  /** Asks the thread to break off, if it may be interrupted now. */
  synchronized void ask() {
    if (worker != null) {
      asked = true;
      if (!shielded) {
        worker.interrupt();
      }
    }
  }

  /** Whether somebody asked in the newest stretch. */
  synchronized boolean asked() {
    return asked;
  }

  /** Does something that must not be interrupted; an interrupt takes effect afterwards. */
  void shield(Runnable writing) {
    shield();
    try {
      writing.run();
    } finally {
      expose();
    }
  }

  private synchronized void shield() {
    if (Thread.currentThread().equals(worker)) {
      shielded = true;
      Thread.interrupted();
    }
  }

  private synchronized void expose() {
    shielded = false;
    if (asked && Thread.currentThread().equals(worker)) {
      worker.interrupt();
    }
  }
}
