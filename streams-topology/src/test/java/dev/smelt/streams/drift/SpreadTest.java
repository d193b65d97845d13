package dev.smelt.streams.drift;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class SpreadTest {

  /** Five equal directions, known exactly: chi-squared with five degrees of freedom. */
  @Test
  void shouldBeChiSquaredWhenEverythingIsKnown() {
    Spread spread = new Spread(5, 5, 5, 1e7);

    assertThat(spread.survival(11.0705)).isCloseTo(0.05, within(1e-4));
    assertThat(spread.quantile(0.001)).isCloseTo(20.515, within(1e-2));
  }

  @Test
  void shouldBeWiderWhenItRestsOnFewWindows() {
    assertThat(new Spread(5, 5, 5, 30).quantile(0.001))
        .isGreaterThan(new Spread(5, 5, 5, 1e7).quantile(0.001));
  }

  @Test
  void shouldInvertItself() {
    Spread spread = new Spread(12, 4, 1.7, 20);

    assertThat(spread.survival(spread.quantile(1e-4))).isCloseTo(1e-4, within(1e-9));
  }

  @Test
  void shouldTakeAnythingAsNewsWhenNothingEverVaried() {
    Spread spread = new Spread(0, 0, 1, 1);

    assertThat(spread.survival(0)).isEqualTo(1);
    assertThat(spread.survival(0.1)).isZero();
  }
}
