package dev.smelt.streams.drift;

import java.time.Instant;

/**
 * The value of topic {@code smelt.drift}: one for each layer of a model and window, and one for
 * all.
 */
public sealed interface Drift permits LayerDrift, ModelDrift {

  String model();

  /** The snapshot whose baseline was compared with; empty without a baseline. */
  String snapshot();

  Instant windowStart();

  Instant windowEnd();

  /** Corrected Jensen-Shannon distance between profile and baseline (base 2, 0 to 1). */
  double value();

  /** The value from which on it counts as drifted. */
  double threshold();

  /** Tokens in the window. */
  long tokens();

  /** Requests that began in the window. */
  long requests();

  /**
   * True if traffic has drifted from the baseline, false discoveries among layers accounted for.
   */
  boolean breached();

  /** The record's key in the topic. */
  String topicKey();
}
