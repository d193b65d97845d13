package dev.smelt.streams.profile;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.smelt.streams.usage.Accumulator;
import dev.smelt.streams.usage.LayerKey;
import dev.smelt.streams.usage.Usage;
import dev.smelt.streams.usage.UsageWindow;
import java.time.Duration;
import java.time.Instant;
import org.junit.jupiter.api.Test;

class ProfileTest {

  private static final Duration HALF_LIFE = Duration.ofSeconds(20);

  @Test
  void shouldGiveBackTheTrafficSinceAnEarlierProfile() {
    Profile before = Profile.of(window(0, 0, 1)).plus(window(1, 0, 1), HALF_LIFE);
    Profile after = before.plus(window(2, 2, 3), HALF_LIFE).plus(window(3, 2, 3), HALF_LIFE);

    Profile since = after.since(before, HALF_LIFE);

    Profile alone = Profile.of(window(2, 2, 3)).plus(window(3, 2, 3), HALF_LIFE);
    assertThat(since.frequency()).containsExactly(alone.frequency());
    assertThat(since.coActivation(2, 3)).isCloseTo(alone.coActivation(2, 3), within(1e-9));
    assertThat(since.coActivation(0, 1)).isZero();
    assertThat(since.tokens()).isCloseTo(alone.tokens(), within(1e-9));
    assertThat(since.effectiveRequests()).isCloseTo(alone.effectiveRequests(), within(1e-9));
    assertThat(since.windows()).isEqualTo(2);
  }

  @Test
  void shouldHoldNothingWhenNothingCameSince() {
    Profile profile = Profile.of(window(0, 0, 1));

    assertThat(profile.since(profile, HALF_LIFE).tokens()).isZero();
  }

  @Test
  void shouldRefuseTheProfileOfAnotherLayer() {
    Profile other =
        Profile.of(
            new UsageWindow(
                new LayerKey("m", "other"), at(0), at(1), window(0, 0, 1).usage(), 1, 0, 0, 0));

    assertThatThrownBy(() -> Profile.of(window(1, 0, 1)).since(other, HALF_LIFE))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("the profile of m/layer did not grow out of one of m/other");
  }

  private static UsageWindow window(int index, int first, int second) {
    Accumulator usage = Usage.accumulator(4, 2);
    for (int token = 0; token < 100; token++) {
      usage.add(new int[] {first, second}, 1);
    }
    usage.addRequests(10);
    return new UsageWindow(
        new LayerKey("m", "layer"), at(index), at(index + 1), usage.build(), 1, 0, 0, 0);
  }

  private static Instant at(int window) {
    return Instant.EPOCH.plusSeconds(10L * window);
  }
}
