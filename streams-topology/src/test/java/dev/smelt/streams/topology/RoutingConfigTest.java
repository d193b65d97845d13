package dev.smelt.streams.topology;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.smelt.streams.drift.DriftSettings;
import java.time.Duration;
import java.util.Properties;
import org.junit.jupiter.api.Test;

class RoutingConfigTest {

  @Test
  void shouldPinEveryDefault() {
    assertThat(RoutingConfig.DEFAULT)
        .isEqualTo(
            new RoutingConfig(
                Duration.ofSeconds(10),
                Duration.ofSeconds(5),
                Duration.ofSeconds(30),
                Duration.ofMinutes(5),
                Duration.ofMinutes(1),
                new DriftSettings(0.0005, 0.01, 30, 8, 32, 4, 5)));
  }

  @Test
  void shouldNameTheSettingThatIsWrong() {
    RoutingConfig good = RoutingConfig.DEFAULT;
    assertThatThrownBy(
            () ->
                new RoutingConfig(
                    Duration.ZERO,
                    good.grace(),
                    good.idleClose(),
                    good.halfLife(),
                    good.clockSkew(),
                    good.drift()))
        .hasMessageContaining("streams: window must be");
    assertThatThrownBy(
            () ->
                new RoutingConfig(
                    good.window(),
                    Duration.ofSeconds(-1),
                    good.idleClose(),
                    good.halfLife(),
                    good.clockSkew(),
                    good.drift()))
        .hasMessageContaining("streams: grace must not be negative");
    assertThatThrownBy(() -> new DriftSettings(0, 0.01, 30, 8, 32, 4, 5))
        .hasMessageContaining("falseDiscoveryRate");
    assertThatThrownBy(() -> new DriftSettings(0.01, 0.01, 30, 8, 4, 4, 5))
        .hasMessageContaining("minimumReferenceWindows");
  }

  @Test
  void shouldCommitTwiceAWindowButWellBeforeATransactionTimesOut() {
    RoutingConfig config = RoutingConfig.DEFAULT;
    RoutingConfig shortWindows =
        new RoutingConfig(
            Duration.ofSeconds(1),
            config.grace(),
            config.idleClose(),
            config.halfLife(),
            config.clockSkew(),
            config.drift());
    RoutingConfig longWindows =
        new RoutingConfig(
            Duration.ofMinutes(10),
            config.grace(),
            config.idleClose(),
            config.halfLife(),
            config.clockSkew(),
            config.drift());

    assertThat(config.commitInterval()).isEqualTo(Duration.ofSeconds(5));
    assertThat(shortWindows.commitInterval()).isEqualTo(Duration.ofMillis(500));
    assertThat(longWindows.commitInterval()).isEqualTo(Duration.ofSeconds(5));
  }

  @Test
  void shouldRunExactlyOnce() {
    Properties properties =
        new StreamsSettings("smelt", "broker:9092", "state", "", 1, Duration.ofSeconds(1), 1)
            .properties();

    assertThat(properties)
        .containsEntry("processing.guarantee", "exactly_once_v2")
        .containsEntry("commit.interval.ms", 1000L)
        .containsEntry("consumer.max.poll.records", 100);
  }
}
