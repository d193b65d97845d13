package dev.smelt.agent.tap;

import static org.assertj.core.api.Assertions.assertThat;

import dev.smelt.agent.tap.TapStatus.Resting;
import dev.smelt.agent.tap.TapStatus.Tapping;
import dev.smelt.agent.tap.TapStatus.Waiting;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.ZoneOffset;
import java.util.Map;
import org.junit.jupiter.api.Test;

class TapHealthTest {

  private static final Instant START = Instant.parse("2026-01-01T00:00:00Z");

  private Instant now = START;
  private final Clock clock = ((InstantSource) () -> now).withZone(ZoneOffset.UTC);
  private final SimpleMeterRegistry metrics = new SimpleMeterRegistry();
  private final TapHealth health = new TapHealth("m", 2, Duration.ofSeconds(60), clock, metrics);

  @Test
  void shouldAskWhileNothingIsKnown() {
    assertThat(health.asks()).isTrue();
    assertThat(health.status().state()).isEqualTo(new Waiting());
  }

  @Test
  void shouldRestAfterSeveralFaultsInARow() {
    health.failed(TapFault.MISSING, "none");
    assertThat(health.asks()).isTrue();
    health.failed(TapFault.MISSING, "none");

    assertThat(health.asks()).isFalse();
    assertThat(health.status().state())
        .isEqualTo(new Resting(TapFault.MISSING, "none", START.plusSeconds(60)));
    assertThat(health.status().state().description())
        .contains("--enable-return-routed-experts")
        .contains("2026-01-01T00:01:00Z");
    assertThat(metrics.get("smelt_tap_resting").gauge().value()).isEqualTo(1);
  }

  @Test
  void shouldNotRestForFaultsWithSuccessBetween() {
    health.failed(TapFault.MISSING, "none");
    health.used(3, 1);
    health.failed(TapFault.MISSING, "none");

    assertThat(health.asks()).isTrue();
    assertThat(health.status().faults()).isEqualTo(Map.of(TapFault.MISSING, 2L));
  }

  @Test
  void shouldRestAtOnceWhenTheEngineRefusesToBeAsked() {
    health.refused("status 400");

    assertThat(health.asks()).isFalse();
    assertThat(health.status().faults()).isEqualTo(Map.of(TapFault.REJECTED, 1L));
  }

  @Test
  void shouldTryAgainAfterARestAndRestAgainAtTheFirstFault() {
    health.refused("status 400");
    now = START.plusSeconds(60);
    assertThat(health.asks()).isTrue();

    health.failed(TapFault.ALL_ZERO, "zeros");

    assertThat(health.asks()).isFalse();
  }

  @Test
  void shouldTapAgainAfterASuccess() {
    health.refused("status 400");
    now = START.plusSeconds(60);

    health.used(5, 0);

    assertThat(health.status().state()).isEqualTo(new Tapping(now));
    assertThat(health.status().answers()).isEqualTo(1);
    assertThat(health.status().tokens()).isEqualTo(5);
  }

  @Test
  void shouldCountForOneProxyAloneAlthoughMetricsAreShared() {
    TapHealth other = new TapHealth("m", 2, Duration.ofSeconds(60), clock, metrics);

    other.used(5, 0);
    other.lost(TapFault.BEHIND);

    assertThat(health.status().answers()).isZero();
    assertThat(health.status().faults()).isEmpty();
  }
}
