package dev.smelt.streams.drift;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Random;
import org.junit.jupiter.api.Test;

class ReferenceTest {

  private static final DriftSettings SETTINGS = DriftSettings.DEFAULT;
  private static final int EXPERTS = 16;
  private static final int TOKENS = 4000;

  private final Random random = new Random(1);

  @Test
  void shouldKnowNothingUntilThereAreEnoughWindows() {
    Reference reference = Reference.empty(EXPERTS);
    int needed = SETTINGS.referenceLag() + SETTINGS.minimumReferenceWindows();
    for (int window = 1; window < needed; window++) {
      reference = observeUniform(reference);
    }
    assertThat(reference.spread(SETTINGS)).isEmpty();

    assertThat(observeUniform(reference).spread(SETTINGS)).isPresent();
  }

  /** With one token a request, Q is chi-squared with E - 1 degrees of freedom. */
  @Test
  void shouldFindTheVariationOfIndependentTokens() {
    Reference reference = Reference.empty(EXPERTS);
    for (int window = 0; window < 60; window++) {
      reference = observeUniform(reference);
    }

    assertThat(reference.spread(SETTINGS).orElseThrow().mean()).isCloseTo(EXPERTS - 1, within(3.0));
    assertThat(reference.persistence()).isBetween(1.0, 1.6);
  }

  @Test
  void shouldNotTakeAShiftForOrdinaryVariation() {
    Reference steady = Reference.empty(EXPERTS);
    for (int window = 0; window < 40; window++) {
      steady = observeUniform(steady);
    }
    double[] shifted = new double[EXPERTS];
    shifted[0] = 1;

    Reference after = steady.observe(shifted, TOKENS, uniform(), SETTINGS);

    double before = steady.spread(SETTINGS).orElseThrow().quantile(0.001);
    assertThat(after.spread(SETTINGS).orElseThrow().quantile(0.001)).isLessThan(2 * before);
  }

  @Test
  void shouldSeeThatLastingRequestsMakeNeighboursAlike() {
    Reference reference = Reference.empty(EXPERTS);
    double[][] groups = new double[3][];
    for (int window = 0; window < 200; window++) {
      groups[window % 3] = sample();
      double[] mean = new double[EXPERTS];
      for (double[] group : groups) {
        for (int e = 0; e < EXPERTS; e++) {
          mean[e] += (group == null ? 1.0 / EXPERTS : group[e]) / 3;
        }
      }
      reference = reference.observe(mean, TOKENS, uniform(), SETTINGS);
    }

    assertThat(reference.persistence()).isBetween(2.0, 4.5);
  }

  @Test
  void shouldReadBackWhatItWrote() {
    Reference reference = Reference.empty(EXPERTS);
    for (int window = 0; window < 50; window++) {
      reference = observeUniform(reference);
    }

    Reference read = ReferenceFormat.read(ReferenceFormat.write(reference));

    assertThat(read.spread(SETTINGS)).isEqualTo(reference.spread(SETTINGS));
    assertThat(read.persistence()).isEqualTo(reference.persistence());
    double[] next = sample();
    assertThat(read.observe(next, TOKENS, uniform(), SETTINGS).spread(SETTINGS))
        .isEqualTo(reference.observe(next, TOKENS, uniform(), SETTINGS).spread(SETTINGS));
  }

  @Test
  void shouldNotGrowWithTheAgeOfTheStream() {
    Reference reference = Reference.empty(EXPERTS);
    for (int window = 0; window < 50; window++) {
      reference = observeUniform(reference);
    }
    int size = ReferenceFormat.write(reference).length;
    for (int window = 0; window < 500; window++) {
      reference = observeUniform(reference);
    }

    assertThat(ReferenceFormat.write(reference)).hasSizeLessThan(size + 2);
  }

  private Reference observeUniform(Reference reference) {
    return reference.observe(sample(), TOKENS, uniform(), SETTINGS);
  }

  private double[] sample() {
    double[] shares = new double[EXPERTS];
    for (int token = 0; token < TOKENS; token++) {
      shares[random.nextInt(EXPERTS)] += 1.0 / TOKENS;
    }
    return shares;
  }

  private static double[] uniform() {
    double[] shares = new double[EXPERTS];
    java.util.Arrays.fill(shares, 1.0 / EXPERTS);
    return shares;
  }
}
