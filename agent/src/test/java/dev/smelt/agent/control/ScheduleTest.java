package dev.smelt.agent.control;

import static org.assertj.core.api.Assertions.assertThat;

import dev.smelt.agent.config.ScheduleSettings;
import java.time.Instant;
import java.time.ZonedDateTime;
import org.junit.jupiter.api.Test;

class ScheduleTest {

  private final Schedule nightly = new Schedule(new ScheduleSettings("0 3 * * *", "Europe/Berlin"));

  @Test
  void shouldNeverBeDueWithoutAnExpression() {
    Schedule never = new Schedule(new ScheduleSettings("", null));

    assertThat(never.set()).isFalse();
    assertThat(never.due(Instant.EPOCH, Instant.parse("2026-01-01T00:00:00Z"))).isEmpty();
  }

  @Test
  void shouldBeDueFromItsTimeOnInItsZone() {
    Instant before = Instant.parse("2026-01-01T01:59:59Z");
    Instant at = Instant.parse("2026-01-01T02:00:00Z");

    assertThat(nightly.due(before, before)).isEmpty();
    assertThat(nightly.due(before, at))
        .contains(
            new Evidence.Due(ZonedDateTime.parse("2026-01-01T03:00+01:00[Europe/Berlin]"), 0));
    assertThat(nightly.due(at, at)).isEmpty();
  }

  @Test
  void shouldFallDueOnceForAllTimesThatPassedMeanwhile() {
    Instant stopped = Instant.parse("2026-01-01T12:00:00Z");
    Instant back = Instant.parse("2026-01-08T12:00:00Z");

    Evidence.Due due = nightly.due(stopped, back).orElseThrow();

    assertThat(due.at()).isEqualTo(ZonedDateTime.parse("2026-01-08T03:00+01:00[Europe/Berlin]"));
    assertThat(due.missed()).isEqualTo(6);
    assertThat(nightly.due(back, back)).isEmpty();
  }

  @Test
  void shouldFallDueOnceInANightThatRepeatsAnHour() {
    Schedule half = new Schedule(new ScheduleSettings("30 2 * * *", "Europe/Berlin"));
    Instant evening = Instant.parse("2026-10-24T20:00:00Z");

    Evidence.Due due = half.due(evening, Instant.parse("2026-10-25T12:00:00Z")).orElseThrow();

    assertThat(due.missed()).isZero();
  }
}
