package dev.smelt.agent.control;

import static org.assertj.core.api.Assertions.assertThat;

import dev.smelt.agent.config.PolicySettings;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class PolicyTest {

  private static final Instant NOW = Instant.parse("2026-01-01T12:00:00Z");
  private static final Evidence.Earlier EARLIER = new Evidence.Earlier("s-1", "s-1 loses less");
  private static final PolicySettings SETTINGS =
      new PolicySettings(null, 3, Duration.ofMinutes(10), 1_000L, 5, null, null);

  @Test
  void shouldWaitForEvidenceBeforeAnythingElse() {
    Decision decision = Policy.decide(evidence(999, false, 0.9, 9, null, 0), SETTINGS);

    assertThat(decision).isInstanceOf(Decision.CheckAgain.class);
    assertThat(decision.reason()).isEqualTo("evidence: 999 of 1,000 tokens");
  }

  @Test
  void shouldMergeFirstWhenNothingIsCompressed() {
    Decision decision = Policy.decide(evidence(2_000, false, null, 0, null, 0), SETTINGS);

    assertThat(decision)
        .isInstanceOfSatisfying(
            Decision.Remerge.class,
            remerge -> assertThat(remerge.trigger()).isEqualTo(Trigger.FIRST));
  }

  @Test
  void shouldIgnoreDriftUnderTheThreshold() {
    Decision decision = Policy.decide(evidence(2_000, true, 0.08, 0, null, 1), SETTINGS);

    assertThat(decision)
        .isEqualTo(new Decision.Ignore("drift 0.080 under 0.120; evidence 0 of 3 windows"));
  }

  @Test
  void shouldCheckAgainUntilEnoughWindowsInARowAreBreached() {
    Decision decision = Policy.decide(evidence(2_000, true, 0.3, 2, null, 1), SETTINGS);

    assertThat(decision).isInstanceOf(Decision.CheckAgain.class);
    assertThat(decision.reason()).contains("evidence 2 of 3 windows");
  }

  @Test
  void shouldMergeAnewWhenEnoughWindowsInARowAreBreached() {
    Decision decision = Policy.decide(evidence(2_000, true, 0.3, 3, null, 1), SETTINGS);

    assertThat(decision)
        .isInstanceOfSatisfying(
            Decision.Remerge.class,
            remerge -> assertThat(remerge.trigger()).isEqualTo(Trigger.DRIFT));
  }

  @Test
  void shouldCoolDownAfterARemerge() {
    Decision decision =
        Policy.decide(evidence(2_000, true, 0.3, 3, NOW.minusSeconds(540), 1), SETTINGS);

    assertThat(decision)
        .isEqualTo(
            new Decision.CheckAgain(
                Duration.ofSeconds(60), "cooling down until " + NOW.plusSeconds(60)));
  }

  @Test
  void shouldStopForTheDayAtTheCap() {
    Decision decision = Policy.decide(evidence(2_000, true, 0.3, 3, null, 5), SETTINGS);

    assertThat(decision).isInstanceOf(Decision.Ignore.class);
    assertThat(decision.reason()).contains("policy.maximumPerDay");
  }

  @Test
  void shouldMergeOnScheduleWithoutDrift() {
    Decision decision = Policy.decide(due(evidence(2_000, true, 0.0, 0, null, 0), 0), SETTINGS);

    assertThat(decision)
        .isEqualTo(new Decision.Remerge(Trigger.SCHEDULE, "scheduled for 2026-01-01T03:00 Z"));
  }

  @Test
  void shouldMakeUpOnceForScheduledTimesThatWereMissed() {
    Decision decision = Policy.decide(due(evidence(2_000, true, 0.0, 0, null, 0), 6), SETTINGS);

    assertThat(decision.reason())
        .isEqualTo("scheduled for 2026-01-01T03:00 Z, once for this and 6 missed before");
  }

  @Test
  void shouldKeepTheScheduleWaitingWhileCoolingDown() {
    Evidence cooling = evidence(2_000, true, 0.0, 0, NOW.minusSeconds(60), 1);

    assertThat(Policy.decide(due(cooling, 0), SETTINGS)).isInstanceOf(Decision.CheckAgain.class);
  }

  @Test
  void shouldRecallAnEarlierSnapshotThatSuitsTheTrafficBetter() {
    Decision decision =
        Policy.decide(
            with(drifted(), false, false, Optional.of(EARLIER), Optional.empty()), SETTINGS);

    assertThat(decision).isEqualTo(new Decision.Recall("s-1", "s-1 loses less"));
  }

  @Test
  void shouldRecallWhileRemergesCoolDown() {
    Evidence remergedJustNow = evidence(2_000, true, 0.3, 3, NOW.minusSeconds(1), 5);

    Decision decision =
        Policy.decide(
            with(remergedJustNow, false, false, Optional.of(EARLIER), Optional.empty()), SETTINGS);

    assertThat(decision).isInstanceOf(Decision.Recall.class);
  }

  @Test
  void shouldCoolDownAfterARecall() {
    Decision decision =
        Policy.decide(
            with(drifted(), false, false, Optional.of(EARLIER), Optional.of(NOW.minusSeconds(540))),
            SETTINGS);

    assertThat(decision)
        .isEqualTo(
            new Decision.CheckAgain(
                Duration.ofSeconds(60), "cooling down until " + NOW.plusSeconds(60)));
  }

  @Test
  void shouldWaitForMemoryToFadeWhenNewTrafficFits() {
    Decision decision =
        Policy.decide(
            with(drifted(), false, true, Optional.of(EARLIER), Optional.empty()), SETTINGS);

    assertThat(decision).isInstanceOf(Decision.CheckAgain.class);
    assertThat(decision.reason()).endsWith("new traffic fits, what is over is memory that fades");
  }

  @Test
  void shouldNotRepeatOnScheduleWhatWasTurnedDown() {
    Evidence due = due(evidence(2_000, true, 0.0, 0, null, 0), 0);

    Decision decision =
        Policy.decide(with(due, true, false, Optional.empty(), Optional.empty()), SETTINGS);

    assertThat(decision).isInstanceOf(Decision.Ignore.class);
    assertThat(decision.reason()).endsWith("no candidate was better for this traffic");
  }

  @Test
  void shouldNotRepeatAFirstMergeThatWasTurnedDownUntilTheTrafficMoves() {
    Evidence still = evidence(2_000, false, 0.0, 0, null, 0);
    Evidence moved = evidence(2_000, false, 0.3, 3, null, 0);

    assertThat(
            Policy.decide(with(still, true, false, Optional.empty(), Optional.empty()), SETTINGS))
        .isInstanceOf(Decision.Ignore.class);
    assertThat(
            Policy.decide(with(moved, true, false, Optional.empty(), Optional.empty()), SETTINGS))
        .isInstanceOf(Decision.Remerge.class);
  }

  @Test
  void shouldWaitTwiceAsLongAfterEachRemergeThatFoundNothingBetter() {
    Evidence tenMinutesLater = evidence(2_000, true, 0.3, 3, NOW.minusSeconds(600), 1);

    assertThat(Policy.decide(afterInVain(tenMinutesLater, 0), SETTINGS))
        .isInstanceOf(Decision.Remerge.class);
    assertThat(Policy.decide(afterInVain(tenMinutesLater, 2), SETTINGS))
        .isEqualTo(
            new Decision.CheckAgain(
                Duration.ofMinutes(30),
                "drift 0.300 over 0.120; evidence 3 of 3 windows; 2 re-merges in a row found"
                    + " nothing better, the next not before 2026-01-01T12:30:00Z"));
    assertThat(Policy.decide(afterInVain(tenMinutesLater, 1_000), SETTINGS))
        .isInstanceOfSatisfying(
            Decision.CheckAgain.class,
            wait -> assertThat(wait.after()).isEqualTo(Duration.ofMinutes(10 * 64 - 10)));
  }

  @Test
  void shouldMergeOnScheduleHoweverManyRemergesFoundNothingBetter() {
    Evidence dayLater = evidence(2_000, true, 0.0, 0, NOW.minusSeconds(86_400), 1);

    assertThat(Policy.decide(due(afterInVain(dayLater, 1_000), 0), SETTINGS))
        .isInstanceOfSatisfying(
            Decision.Remerge.class,
            remerge -> assertThat(remerge.trigger()).isEqualTo(Trigger.SCHEDULE));
  }

  private static Evidence afterInVain(Evidence evidence, int inVain) {
    return new Evidence(
        evidence.now(),
        evidence.profileTokens(),
        evidence.compressed(),
        evidence.turnedDown(),
        evidence.drift(),
        evidence.breachedWindows(),
        evidence.fading(),
        evidence.earlier(),
        evidence.lastRemerge(),
        evidence.lastRecall(),
        evidence.remergesToday(),
        inVain,
        evidence.due());
  }

  private static Evidence due(Evidence evidence, int missed) {
    return new Evidence(
        evidence.now(),
        evidence.profileTokens(),
        evidence.compressed(),
        evidence.turnedDown(),
        evidence.drift(),
        evidence.breachedWindows(),
        evidence.fading(),
        evidence.earlier(),
        evidence.lastRemerge(),
        evidence.lastRecall(),
        evidence.remergesToday(),
        evidence.inVain(),
        Optional.of(
            new Evidence.Due(
                NOW.minus(Duration.ofHours(9)).atZone(java.time.ZoneOffset.UTC), missed)));
  }

  private static Evidence drifted() {
    return evidence(2_000, true, 0.3, 3, null, 1);
  }

  private static Evidence with(
      Evidence evidence,
      boolean turnedDown,
      boolean fading,
      Optional<Evidence.Earlier> earlier,
      Optional<Instant> lastRecall) {
    return new Evidence(
        evidence.now(),
        evidence.profileTokens(),
        evidence.compressed(),
        turnedDown,
        evidence.drift(),
        evidence.breachedWindows(),
        fading,
        earlier,
        evidence.lastRemerge(),
        lastRecall,
        evidence.remergesToday(),
        evidence.inVain(),
        evidence.due());
  }

  private static Evidence evidence(
      double tokens, boolean compressed, Double drift, int breached, Instant last, int today) {
    return new Evidence(
        NOW,
        tokens,
        compressed,
        false,
        Optional.ofNullable(drift).map(value -> new Evidence.Drift(value, 0.12)),
        breached,
        false,
        Optional.empty(),
        Optional.ofNullable(last),
        Optional.empty(),
        today,
        0,
        Optional.empty());
  }
}
