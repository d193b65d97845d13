package dev.smelt.agent.control;

import java.time.Instant;
import java.time.ZonedDateTime;
import java.util.Optional;

/**
 * What the policy looks at; a value, so that a decision can be shown and repeated.
 *
 * @param now the time of the decision
 * @param profileTokens the decayed tokens that the profile rests on
 * @param compressed whether a snapshot serves; false while the engine serves the full model
 * @param turnedDown whether a candidate for the traffic that drift is measured from was tried and
 *     turned down
 * @param drift the drift of the newest closed window, once there is a baseline
 * @param breachedWindows how many windows in a row, up to the newest, were over their threshold
 * @param fading whether the traffic since the first of them is nearer to the baseline than the
 *     profile: what is over the threshold is memory of earlier traffic, and fades by itself
 * @param earlier the earlier snapshot that suits the traffic since then better, if there is one
 * @param lastRemerge when the newest re-merge started
 * @param lastRecall when the newest recall started
 * @param remergesToday how many re-merges started in the last 24 hours
 * @param inVain how many of the newest re-merges in a row found nothing better than what served
 * @param due what the schedule asks for and was not done yet
 */
public record Evidence(
    Instant now,
    double profileTokens,
    boolean compressed,
    boolean turnedDown,
    Optional<Drift> drift,
    int breachedWindows,
    boolean fading,
    Optional<Earlier> earlier,
    Optional<Instant> lastRemerge,
    Optional<Instant> lastRecall,
    int remergesToday,
    int inVain,
    Optional<Due> due) {

  /**
   * Drift of a model as last published.
   *
   * @param value Jensen-Shannon distance, base 2, corrected for sample size
   * @param threshold the calibrated threshold
   */
  public record Drift(double value, double threshold) {}

  /**
   * An earlier snapshot that suits the traffic better than the active one.
   *
   * @param snapshot its id
   * @param why in words, with the figures of both
   */
  public record Earlier(String snapshot, String why) {}

  /**
   * A scheduled time that has passed.
   *
   * @param at the newest one
   * @param missed how many earlier ones passed unused as well
   */
  public record Due(ZonedDateTime at, int missed) {}
}
