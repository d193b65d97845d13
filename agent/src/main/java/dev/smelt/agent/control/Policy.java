package dev.smelt.agent.control;

import dev.smelt.agent.config.PolicySettings;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Locale;
import java.util.Optional;

/**
 * When a re-merge is worth it. A pure function of the evidence and the settings.
 *
 * <p>Each re-merge in a row that found nothing better doubles the wait for the next one that drift
 * asks for: on traffic that goes round and round, drift alone does not say that merging pays.
 *
 * <p>The order of the checks is the order of their weight: without evidence nothing happens; an
 * earlier snapshot that suits the traffic better needs no re-merge, so that neither the day's cap
 * nor the cool-down of re-merges holds it back; and only then do the other triggers count. The
 * schedule does not repeat what was turned down for the same traffic.
 */
final class Policy {

  static final Duration DAY = Duration.ofHours(24);

  /** How often the cool-down doubles at most; it is then 64 times as long. */
  private static final int MOST_DOUBLINGS = 6;

  private static final Duration NEXT_LOOK = Duration.ofSeconds(1);

  private Policy() {}

  static Decision decide(Evidence evidence, PolicySettings settings) {
    if (evidence.profileTokens() < settings.minimumTokens()) {
      return new Decision.CheckAgain(
          NEXT_LOOK,
          format(
              "evidence: %,.0f of %,d tokens", evidence.profileTokens(), settings.minimumTokens()));
    }
    if (drifted(evidence, settings) && !evidence.fading() && evidence.earlier().isPresent()) {
      Duration wait = left(evidence.now(), evidence.lastRecall(), settings.coolDown());
      if (wait.isZero()) {
        return new Decision.Recall(
            evidence.earlier().get().snapshot(), evidence.earlier().get().why());
      }
    }
    if (evidence.remergesToday() >= settings.maximumPerDay()) {
      return new Decision.Ignore(
          format(
              "%d re-merges in 24 hours, the most allowed (policy.maximumPerDay)",
              evidence.remergesToday()));
    }
    Duration wait = left(evidence.now(), lastChange(evidence), settings.coolDown());
    if (!wait.isZero()) {
      return new Decision.CheckAgain(
          wait,
          format(
              "cooling down until %s", evidence.now().plus(wait).truncatedTo(ChronoUnit.SECONDS)));
    }
    if (!evidence.compressed() && !evidence.turnedDown()) {
      return new Decision.Remerge(
          Trigger.FIRST,
          format("no snapshot serves; evidence: %,.0f tokens", evidence.profileTokens()));
    }
    if (evidence.due().isPresent() && !evidence.turnedDown()) {
      return scheduled(evidence.due().get());
    }
    return byDrift(evidence, settings);
  }

  private static Decision scheduled(Evidence.Due due) {
    String when = "scheduled for " + due.at().toLocalDateTime() + " " + due.at().getZone();
    return new Decision.Remerge(
        Trigger.SCHEDULE,
        due.missed() == 0
            ? when
            : when + format(", once for this and %d missed before", due.missed()));
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
    if (drifted(evidence, settings)) {
      if (evidence.fading()) {
        return new Decision.CheckAgain(
            NEXT_LOOK, measured + "; but new traffic fits, what is over is memory that fades");
      }
      Duration wait =
          left(
              evidence.now(),
              evidence.lastRemerge(),
              settings.coolDown().multipliedBy(1L << Math.min(evidence.inVain(), MOST_DOUBLINGS)));
      return wait.isZero()
          ? new Decision.Remerge(evidence.compressed() ? Trigger.DRIFT : Trigger.FIRST, measured)
          : new Decision.CheckAgain(
              wait,
              format(
                  "%s; %d re-merges in a row found nothing better, the next not before %s",
                  measured,
                  evidence.inVain(),
                  evidence.now().plus(wait).truncatedTo(ChronoUnit.MINUTES)));
    }
    if (evidence.breachedWindows() > 0) {
      return new Decision.CheckAgain(NEXT_LOOK, measured);
    }
    return new Decision.Ignore(
        evidence.turnedDown() ? measured + "; no candidate was better for this traffic" : measured);
  }

  private static boolean drifted(Evidence evidence, PolicySettings settings) {
    return evidence.drift().isPresent()
        && evidence.breachedWindows() >= settings.consecutiveWindows();
  }

  private static Optional<Instant> lastChange(Evidence evidence) {
    return evidence
        .lastRecall()
        .filter(recall -> evidence.lastRemerge().filter(recall::isBefore).isEmpty())
        .or(evidence::lastRemerge);
  }

  private static Duration left(Instant now, Optional<Instant> since, Duration coolDown) {
    Duration left = since.map(at -> Duration.between(now, at.plus(coolDown))).orElse(Duration.ZERO);
    return left.isNegative() ? Duration.ZERO : left;
  }

  private static String format(String pattern, Object... arguments) {
    return String.format(Locale.ROOT, pattern, arguments);
  }
}
