package dev.smelt.store.snapshot;

import java.time.Duration;

/**
 * Which snapshots may go: those that no ref names, that are not among the newest, and that are old
 * enough, all three.
 *
 * @param newest number of a model's newest snapshots that stay
 * @param age below which a snapshot stays
 */
public record Retention(int newest, Duration age) {

  public Retention {
    if (newest < 0 || age.isNegative()) {
      throw new StoreException.Rejected(
          "retention needs a number and an age that are not negative");
    }
  }
}
