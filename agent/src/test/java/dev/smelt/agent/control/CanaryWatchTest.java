package dev.smelt.agent.control;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.smelt.agent.config.CanarySettings;
import dev.smelt.agent.control.CanaryWatch.Finding;
import dev.smelt.agent.control.CanaryWatch.Level;
import java.time.Duration;
import java.time.Instant;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class CanaryWatchTest {

  private static final Instant START = Instant.parse("2026-01-01T12:00:00Z");
  private static final Instant UNTIL = START.plusSeconds(100);

  private ServingFigures serving = ServingFigures.NONE;
  private final CanaryWatch watch =
      new CanaryWatch(
          new CanarySettings(Duration.ofSeconds(100), 20, 0.01, 1.5, 0.05, null), () -> serving);

  @BeforeEach
  void serveWellBefore() {
    watch.note(START.minusSeconds(50));
    serve(1_000, 2, 50);
  }

  @Test
  void shouldKeepWhatServesAsWellAsBefore() {
    Level before = begin();
    settle();
    serve(500, 1, 55);

    assertThat(watch.judge(before, UNTIL.minusSeconds(1), UNTIL)).isInstanceOf(Finding.Open.class);
    assertThat(watch.judge(before, UNTIL, UNTIL))
        .isInstanceOf(Finding.Well.class)
        .extracting(Finding::reason)
        .isEqualTo("500 requests, 0.2% failed (0.2% before), 55 ms (50 ms before)");
  }

  @Test
  void shouldFindFailuresBeforeTheWindowIsOver() {
    Level before = begin();
    serve(100, 10, 50);

    assertThat(watch.judge(before, START.plusSeconds(5), UNTIL))
        .isInstanceOf(Finding.Worse.class)
        .extracting(Finding::reason)
        .isEqualTo("10 of 100 requests failed, 0.2% before (canary.errorRate)");
  }

  @Test
  void shouldNotCondemnForOneFailureAmongFewRequests() {
    Level before = begin();
    serve(20, 1, 50);

    assertThat(watch.judge(before, UNTIL, UNTIL)).isInstanceOf(Finding.Well.class);
  }

  @Test
  void shouldFindSlowerAnswersAtTheEndOfTheWindow() {
    Level before = begin();
    settle();
    serve(100, 0, 90);

    assertThat(watch.judge(before, UNTIL.minusSeconds(1), UNTIL)).isInstanceOf(Finding.Open.class);
    assertThat(watch.judge(before, UNTIL, UNTIL))
        .isInstanceOf(Finding.Worse.class)
        .extracting(Finding::reason)
        .isEqualTo("a request takes 90 ms, 50 ms before (canary.latency)");
  }

  @Test
  void shouldLeaveOutWhatTheSwapHeldUp() {
    Level before = begin();
    serve(30, 0, 5_000);
    settle();
    serve(100, 0, 50);

    assertThat(watch.judge(before, UNTIL, UNTIL)).isInstanceOf(Finding.Well.class);
  }

  @Test
  void shouldSayThatTooFewRequestsCame() {
    Level before = begin();
    settle();
    serve(3, 3, 900);

    assertThat(watch.judge(before, UNTIL, UNTIL).reason())
        .endsWith("too few to judge (canary.minimumRequests)");
  }

  @Test
  void shouldFindAnswersThatTheModelIsLessSureOf() {
    score(2_000, -0.5);
    Level before = begin();
    score(2_000, -0.7);

    assertThat(watch.judge(before, UNTIL.minusSeconds(1), UNTIL)).isInstanceOf(Finding.Open.class);
    assertThat(watch.judge(before, UNTIL, UNTIL))
        .isInstanceOf(Finding.Worse.class)
        .extracting(Finding::reason)
        .isEqualTo(
            "a token has a log-probability of -0.700 in the mean, -0.500 before"
                + " (canary.logProbability)");
  }

  @Test
  void shouldNotJudgeLogProbabilitiesOfFewTokens() {
    score(2_000, -0.5);
    Level before = begin();
    score(999, -5);

    assertThat(watch.judge(before, UNTIL, UNTIL)).isInstanceOf(Finding.Well.class);
  }

  @Test
  void shouldFindAPostedNumberThatBecameWorse() {
    watch.post(new Signal("quality", 0.90, Signal.Better.HIGHER), START.minusSeconds(10));
    watch.post(new Signal("cost", 10, Signal.Better.LOWER), START.minusSeconds(10));
    Level before = begin();
    watch.post(new Signal("quality", 0.95, Signal.Better.HIGHER), START.plusSeconds(5));
    watch.post(new Signal("cost", 10.4, Signal.Better.LOWER), START.plusSeconds(5));
    assertThat(watch.judge(before, START.plusSeconds(10), UNTIL)).isInstanceOf(Finding.Open.class);

    watch.post(new Signal("quality", 0.60, Signal.Better.HIGHER), START.plusSeconds(15));

    assertThat(watch.judge(before, START.plusSeconds(20), UNTIL))
        .isInstanceOf(Finding.Worse.class)
        .extracting(Finding::reason)
        .isEqualTo("quality is 0.7750, 0.9000 before (canary.signal)");
  }

  @Test
  void shouldKeepABoundedNumberOfSignals() {
    for (int signal = 0; signal < 32; signal++) {
      watch.post(new Signal("s" + signal, 1, Signal.Better.LOWER), START);
    }

    assertThatThrownBy(() -> watch.post(new Signal("more", 1, Signal.Better.LOWER), START))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageStartingWith("name: 32 signals are known, the most kept");
  }

  private Level begin() {
    Level before = watch.level(START);
    watch.begin(START);
    return before;
  }

  private void settle() {
    watch.judge(new Level(0, 0, 0, java.util.Map.of(), 0, 0), START.plusSeconds(10), UNTIL);
  }

  private void score(long tokens, double each) {
    serving =
        new ServingFigures(
            serving.requests(),
            serving.failures(),
            serving.time(),
            serving.scoredTokens() + tokens,
            serving.logProbability() + tokens * each);
  }

  private void serve(long requests, long failures, long millisEach) {
    serving =
        new ServingFigures(
            serving.requests() + requests,
            serving.failures() + failures,
            serving.time().plusMillis(requests * millisEach));
  }
}
