package dev.smelt.agent.control;

import java.time.Instant;
import java.util.Optional;

/**
 * What the policy looks at; a value, so that a decision can be shown and repeated.
 *
 * @param now the time of the decision
 * @param profileTokens the decayed tokens that the profile rests on
 * @param compressed whether a snapshot serves; false while the engine serves the full model
 * @param drift the drift of the newest closed window, once there is a baseline
 * @param breachedWindows how many windows in a row, up to the newest, were over their threshold
 * @param lastRemerge when the newest re-merge started
 * @param remergesToday how many re-merges started in the last 24 hours
 */
public record Evidence(
    Instant now,
    double profileTokens,
    boolean compressed,
    Optional<Drift> drift,
    int breachedWindows,
    Optional<Instant> lastRemerge,
    int remergesToday) {

  /**
   * Drift of a model as last published.
   *
   * @param value Jensen-Shannon distance, base 2, corrected for sample size
   * @param threshold the calibrated threshold
   */
  public record Drift(double value, double threshold) {}
}
