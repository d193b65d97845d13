package dev.smelt.agent.control;

import static org.assertj.core.api.Assertions.assertThat;

import dev.smelt.agent.config.PolicySettings;
import java.time.Duration;
import java.time.Instant;
import java.time.ZonedDateTime;
import org.junit.jupiter.api.Test;

class PolicyTest {

  private static final Instant NOW = Instant.parse("2026-01-01T12:00:00Z");
  private static final ZonedDateTime THREE = ZonedDateTime.parse("2026-01-01T03:00:00Z");
  private static final Evidence.Earlier EARLIER = new Evidence.Earlier("s-1", "s-1 loses less");
  private static final PolicySettings SETTINGS =
      new PolicySettings(null, 3, Duration.ofMinutes(10), 1_000L, 5, null, null);

  @Test
  void shouldWaitForEvidenceBeforeAnythingElse() {
    Decision decision = decide(steady().tokens(999).fullModel().drift(0.9, 9));

    assertThat(decision).isInstanceOf(Decision.CheckAgain.class);
    assertThat(decision.reason()).isEqualTo("evidence: 999 of 1,000 tokens");
  }

  @Test
  void shouldMergeFirstWhenNothingIsCompressed() {
    Decision decision = decide(steady().fullModel().noBaseline());

    assertThat(decision)
        .isInstanceOfSatisfying(
            Decision.Remerge.class,
            remerge -> assertThat(remerge.trigger()).isEqualTo(Trigger.FIRST));
  }

  @Test
  void shouldIgnoreDriftUnderTheThreshold() {
    Decision decision = decide(steady().drift(0.08, 0));

    assertThat(decision)
        .isEqualTo(new Decision.Ignore("drift 0.080 under 0.120; evidence 0 of 3 windows"));
  }

  @Test
  void shouldCheckAgainUntilEnoughWindowsInARowAreBreached() {
    Decision decision = decide(steady().drift(0.3, 2));

    assertThat(decision).isInstanceOf(Decision.CheckAgain.class);
    assertThat(decision.reason()).contains("evidence 2 of 3 windows");
  }

  @Test
  void shouldMergeAnewWhenEnoughWindowsInARowAreBreached() {
    Decision decision = decide(drifted());

    assertThat(decision)
        .isInstanceOfSatisfying(
            Decision.Remerge.class,
            remerge -> assertThat(remerge.trigger()).isEqualTo(Trigger.DRIFT));
  }

  @Test
  void shouldCoolDownAfterARemerge() {
    Decision decision = decide(drifted().remerged(NOW.minusSeconds(540)));

    assertThat(decision)
        .isEqualTo(
            new Decision.CheckAgain(
                Duration.ofSeconds(60), "cooling down until " + NOW.plusSeconds(60)));
  }

  @Test
  void shouldStopForTheDayAtTheCap() {
    Decision decision = decide(drifted().remergesToday(5));

    assertThat(decision).isInstanceOf(Decision.Ignore.class);
    assertThat(decision.reason()).contains("policy.maximumPerDay");
  }

  @Test
  void shouldMergeOnScheduleWithoutDrift() {
    Decision decision = decide(steady().due(THREE, 0));

    assertThat(decision)
        .isEqualTo(new Decision.Remerge(Trigger.SCHEDULE, "scheduled for 2026-01-01T03:00 Z"));
  }

  @Test
  void shouldMakeUpOnceForScheduledTimesThatWereMissed() {
    Decision decision = decide(steady().due(THREE, 6));

    assertThat(decision.reason())
        .isEqualTo("scheduled for 2026-01-01T03:00 Z, once for this and 6 missed before");
  }

  @Test
  void shouldKeepTheScheduleWaitingWhileCoolingDown() {
    assertThat(decide(steady().remerged(NOW.minusSeconds(60)).due(THREE, 0)))
        .isInstanceOf(Decision.CheckAgain.class);
  }

  @Test
  void shouldRecallAnEarlierSnapshotThatSuitsTheTrafficBetter() {
    Decision decision = decide(drifted().earlier(EARLIER));

    assertThat(decision).isEqualTo(new Decision.Recall("s-1", "s-1 loses less"));
  }

  @Test
  void shouldRecallWhileRemergesCoolDown() {
    Decision decision =
        decide(drifted().remerged(NOW.minusSeconds(1)).remergesToday(5).earlier(EARLIER));

    assertThat(decision).isInstanceOf(Decision.Recall.class);
  }

  @Test
  void shouldCoolDownAfterARecall() {
    Decision decision = decide(drifted().earlier(EARLIER).recalled(NOW.minusSeconds(540)));

    assertThat(decision)
        .isEqualTo(
            new Decision.CheckAgain(
                Duration.ofSeconds(60), "cooling down until " + NOW.plusSeconds(60)));
  }

  @Test
  void shouldWaitForMemoryToFadeWhenNewTrafficFits() {
    Decision decision = decide(drifted().fading().earlier(EARLIER));

    assertThat(decision).isInstanceOf(Decision.CheckAgain.class);
    assertThat(decision.reason()).endsWith("new traffic fits, what is over is memory that fades");
  }

  @Test
  void shouldNotRepeatOnScheduleWhatWasTurnedDown() {
    Decision decision = decide(steady().due(THREE, 0).turnedDown());

    assertThat(decision).isInstanceOf(Decision.Ignore.class);
    assertThat(decision.reason()).endsWith("no candidate was better for this traffic");
  }

  @Test
  void shouldNotRepeatAFirstMergeThatWasTurnedDownUntilTheTrafficMoves() {
    assertThat(decide(steady().fullModel().turnedDown())).isInstanceOf(Decision.Ignore.class);
    assertThat(decide(drifted().fullModel().turnedDown())).isInstanceOf(Decision.Remerge.class);
  }

  @Test
  void shouldWaitTwiceAsLongAfterEachRemergeThatFoundNothingBetter() {
    Instant tenMinutesAgo = NOW.minusSeconds(600);

    assertThat(decide(drifted().remerged(tenMinutesAgo))).isInstanceOf(Decision.Remerge.class);
    assertThat(decide(drifted().remerged(tenMinutesAgo).inVain(2)))
        .isEqualTo(
            new Decision.CheckAgain(
                Duration.ofMinutes(30),
                "drift 0.300 over 0.120; evidence 3 of 3 windows; 2 re-merges in a row found"
                    + " nothing better, the next not before 2026-01-01T12:30:00Z"));
    assertThat(decide(drifted().remerged(tenMinutesAgo).inVain(1_000)))
        .isInstanceOfSatisfying(
            Decision.CheckAgain.class,
            wait -> assertThat(wait.after()).isEqualTo(Duration.ofMinutes(10 * 64 - 10)));
  }

  @Test
  void shouldMergeOnScheduleHoweverManyRemergesFoundNothingBetter() {
    assertThat(decide(steady().remerged(NOW.minusSeconds(86_400)).inVain(1_000).due(THREE, 0)))
        .isInstanceOfSatisfying(
            Decision.Remerge.class,
            remerge -> assertThat(remerge.trigger()).isEqualTo(Trigger.SCHEDULE));
  }

  private static Decision decide(EvidenceBuilder evidence) {
    return Policy.decide(evidence.build(), SETTINGS);
  }

  private static EvidenceBuilder steady() {
    return new EvidenceBuilder(NOW);
  }

  private static EvidenceBuilder drifted() {
    return steady().drift(0.3, 3);
  }
}
