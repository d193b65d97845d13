package dev.smelt.streams.usage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Random;
import org.junit.jupiter.api.Test;

class AccumulatorTest {

  private static final int[] THREE_TOKENS = {0, 1, 2, 1, 3, 0};

  @Test
  void shouldCountChoicesAndPairs() {
    Usage usage = Usage.accumulator(4, 2).add(THREE_TOKENS, 3).addRequests(1).build();

    assertThat(usage.tokens()).isEqualTo(3);
    assertThat(usage.requests()).isEqualTo(1);
    assertThat(usage.decisions()).isEqualTo(6);
    assertThat(usage.counts()).containsExactly(2, 2, 1, 1);
    assertThat(usage.coActivation(0, 1)).isEqualTo(1);
    assertThat(usage.coActivation(1, 0)).isEqualTo(1);
    assertThat(usage.coActivation(1, 2)).isEqualTo(1);
    assertThat(usage.coActivation(0, 3)).isEqualTo(1);
    assertThat(usage.coActivation(2, 3)).isZero();
    assertThat(usage.coActivation(1, 1)).isEqualTo(2);
  }

  @Test
  void shouldSkipPaddingAndNotCountRowsOfPadding() {
    Usage usage = Usage.accumulator(4, 2).add(new int[] {-1, -1, 2, -1, -1, -1}, 3).build();

    assertThat(usage.tokens()).isEqualTo(1);
    assertThat(usage.counts()).containsExactly(0, 0, 1, 0);
  }

  @Test
  void shouldAddNothingWhenAnExpertIsOutOfRange() {
    Accumulator sums = Usage.accumulator(4, 2);

    assertThatThrownBy(() -> sums.add(new int[] {0, 1, 2, 4}, 2))
        .isInstanceOf(InvalidDecisionException.class)
        .hasMessageContaining("row 1")
        .hasMessageContaining("expert 4");
    assertThat(sums.isEmpty()).isTrue();
    assertThat(sums.build()).isEqualTo(Usage.empty(4, 2));
  }

  @Test
  void shouldAddNothingWhenAnExpertIsChosenTwice() {
    Accumulator sums = Usage.accumulator(4, 2);

    assertThatThrownBy(() -> sums.add(new int[] {0, 1, 2, 2}, 2))
        .isInstanceOf(InvalidDecisionException.class)
        .hasMessageContaining("chosen twice");
    assertThat(sums.build()).isEqualTo(Usage.empty(4, 2));
  }

  @Test
  void shouldRefuseAnArrayThatIsTooShort() {
    assertThatThrownBy(() -> Usage.accumulator(4, 2).add(new int[] {0, 1}, 2))
        .hasMessageContaining("2 rows");
  }

  @Test
  void shouldSumGateWeightsOfChosenExperts() {
    Usage usage =
        Usage.accumulator(4, 2)
            .add(new int[] {0, 1, 1, -1}, new float[] {0.75f, 0.25f, 1f, 9f}, 2)
            .build();

    assertThat(usage.gateMass()).hasValue(new double[] {0.75, 1.25, 0, 0});
  }

  @Test
  void shouldAddUpTheGramMatrixOfLogits() {
    Usage usage = Usage.accumulator(2, 1).addLogits(new float[] {1, 2, 3, -1}, 2).build();

    assertThat(usage.logitGram()).hasValue(new double[] {10, -1, -1, 5});
  }

  @Test
  void shouldAddUpTheSameInAnyOrderAndGrouping() {
    Random random = new Random(7);
    Usage[] parts = new Usage[8];
    Accumulator all = Usage.accumulator(16, 4);
    for (int part = 0; part < parts.length; part++) {
      int[] ids = RandomDecisions.ids(random, 16, 4, 50);
      parts[part] = Usage.accumulator(16, 4).add(ids, 50).addRequests(part).build();
      all.add(ids, 50).addRequests(part);
    }

    Usage forward = Usage.empty(16, 4);
    Usage backward = Usage.empty(16, 4);
    for (int part = 0; part < parts.length; part++) {
      forward = forward.plus(parts[part]);
      backward = parts[parts.length - 1 - part].plus(backward);
    }

    assertThat(forward).isEqualTo(backward).isEqualTo(all.build());
  }

  @Test
  void shouldKeepWhatWasBuiltWhenMoreIsAdded() {
    Accumulator sums = Usage.accumulator(4, 2).add(THREE_TOKENS, 3);
    Usage before = sums.build();
    sums.add(THREE_TOKENS, 3);

    assertThat(before.tokens()).isEqualTo(3);
    assertThat(sums.build().tokens()).isEqualTo(6);
  }

  @Test
  void shouldNormaliseFrequencyInsideTheLayer() {
    assertThat(Usage.accumulator(4, 2).add(THREE_TOKENS, 3).build().frequency())
        .containsExactly(2 / 6.0, 2 / 6.0, 1 / 6.0, 1 / 6.0);
    assertThat(Usage.empty(4, 2).frequency()).containsOnly(0.25);
  }

  @Test
  void shouldRefuseUsageOfAnotherShape() {
    assertThatThrownBy(() -> Usage.empty(4, 2).plus(Usage.empty(8, 2)))
        .hasMessageContaining("4 experts")
        .hasMessageContaining("8 experts");
  }

  @Test
  void shouldRefuseShapesBeyondTheLimits() {
    assertThatThrownBy(() -> Usage.empty(513, 2)).hasMessageContaining("513");
    assertThatThrownBy(() -> Usage.empty(64, 17)).hasMessageContaining("17");
    assertThatThrownBy(() -> Usage.empty(4, 5)).hasMessageContaining("not 5");
    assertThat(Usage.empty(512, 16).experts()).isEqualTo(512);
  }
}
