package dev.smelt.agent.control;

import dev.smelt.agent.config.PolicySettings;
import java.time.Duration;
import java.time.Instant;
import java.util.Locale;

/**
 * When a re-merge is worth it. A pure function of the evidence and the settings.
 *
 * <p>The order of the checks is the order of their weight: without evidence nothing happens, a
 * cool-down or an exhausted day is waited for, and only then do the triggers count.
 */
final class Policy {

  static final Duration DAY = Duration.ofHours(24);

  private static final Duration NEXT_LOOK = Duration.ofSeconds(1);

  private Policy() {}

  static Decision decide(Evidence evidence, PolicySettings settings) {
    if (evidence.profileTokens() < settings.minimumTokens()) {
      return new Decision.CheckAgain(
          NEXT_LOOK,
          format(
              "evidence: %,.0f of %,d tokens", evidence.profileTokens(), settings.minimumTokens()));
    }
    if (evidence.remergesToday() >= settings.maximumPerDay()) {
      return new Decision.Ignore(
          format(
              "%d re-merges in 24 hours, the most allowed (policy.maximumPerDay)",
              evidence.remergesToday()));
    }
    Duration wait = untilCooledDown(evidence, settings);
    if (!wait.isZero()) {
      return new Decision.CheckAgain(wait, format("cooling down for %ds more", wait.toSeconds()));
    }
    if (!evidence.compressed()) {
      return new Decision.Remerge(
          Trigger.FIRST,
          format("no snapshot serves; evidence: %,.0f tokens", evidence.profileTokens()));
    }
    if (settings.every() != null && evidence.lastRemerge().isPresent()) {
      Instant due = evidence.lastRemerge().get().plus(settings.every());
      if (!evidence.now().isBefore(due)) {
        return new Decision.Remerge(
            Trigger.SCHEDULE, "scheduled every " + settings.every() + " (policy.every)");
      }
    }
    return byDrift(evidence, settings);
  }

  private static Decision byDrift(Evidence evidence, PolicySettings settings) {
    if (evidence.drift().isEmpty()) {
      return new Decision.CheckAgain(NEXT_LOOK, "no window closed since the baseline was set");
    }
    Evidence.Drift drift = evidence.drift().get();
    String measured =
        format(
            "drift %.3f %s %.3f; evidence %d of %d windows",
            drift.value(),
            drift.value() > drift.threshold() ? "over" : "under",
            drift.threshold(),
            evidence.breachedWindows(),
            settings.consecutiveWindows());
    if (evidence.breachedWindows() >= settings.consecutiveWindows()) {
      return new Decision.Remerge(Trigger.DRIFT, measured);
    }
    if (evidence.breachedWindows() > 0) {
      return new Decision.CheckAgain(NEXT_LOOK, measured);
    }
    return new Decision.Ignore(measured);
  }

  private static Duration untilCooledDown(Evidence evidence, PolicySettings settings) {
    if (evidence.lastRemerge().isEmpty()) {
      return Duration.ZERO;
    }
    Duration left =
        Duration.between(evidence.now(), evidence.lastRemerge().get().plus(settings.coolDown()));
    return left.isNegative() ? Duration.ZERO : left;
  }

  private static String format(String pattern, Object... arguments) {
    return String.format(Locale.ROOT, pattern, arguments);
  }
}
