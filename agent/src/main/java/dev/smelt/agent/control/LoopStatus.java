package dev.smelt.agent.control;

import dev.smelt.agent.config.PolicySettings.Mode;
import java.time.Instant;
import java.util.Optional;

/**
 * The loop of a model at one moment.
 *
 * @param model the model's name
 * @param state where the loop stands
 * @param mode how much it may do by itself
 * @param active the snapshot that should serve; the base snapshot is the full model
 * @param previous the one before it
 * @param served what the engine is known to serve; empty while unknown
 * @param drift the newest drift
 * @param breachedWindows how many windows in a row were over the threshold
 * @param profileTokens the decayed tokens that the profile rests on
 * @param decision the newest decision in words
 * @param progress of the work in hand
 * @param remerges how many re-merges led to an activation since the agent started
 * @param lastRemerge when the newest one started
 * @param fullExpertBytes the experts of the full model
 * @param activeExpertBytes the experts of the active snapshot in compact form
 */
public record LoopStatus(
    String model,
    LoopState state,
    Mode mode,
    Optional<String> active,
    Optional<String> previous,
    Optional<String> served,
    Optional<Evidence.Drift> drift,
    int breachedWindows,
    double profileTokens,
    String decision,
    Optional<Progress> progress,
    int remerges,
    Optional<Instant> lastRemerge,
    long fullExpertBytes,
    long activeExpertBytes) {

  /**
   * How far the work in hand is.
   *
   * @param what in words
   * @param done of {@code total}
   */
  public record Progress(String what, int done, int total) {}
}
