package dev.smelt.streams.drift;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class JensenShannonTest {

  @Test
  void shouldBeZeroForTheSameAndOneForNothingInCommon() {
    assertThat(JensenShannon.distance(new double[] {0.3, 0.7}, new double[] {0.3, 0.7})).isZero();
    assertThat(JensenShannon.distance(new double[] {1, 0}, new double[] {0, 1})).isEqualTo(1);
  }

  /** scipy.spatial.distance.jensenshannon([1, 0], [0.5, 0.5], base=2). */
  @Test
  void shouldAgreeWithScipy() {
    assertThat(JensenShannon.distance(new double[] {1, 0}, new double[] {0.5, 0.5}))
        .isCloseTo(0.5579230452841438, within(1e-12));
  }

  @Test
  void shouldNotDependOnTheOrderOfItsArguments() {
    double[] p = {0.1, 0.2, 0.7};
    double[] q = {0.3, 0.3, 0.4};

    assertThat(JensenShannon.divergence(p, q)).isEqualTo(JensenShannon.divergence(q, p));
  }

  @Test
  void shouldBeAQuadraticFormForCloseDistributions() {
    double[] p = {0.5, 0.3, 0.2};
    double[] q = {0.51, 0.295, 0.195};
    double quadratic = 0;
    for (int e = 0; e < p.length; e++) {
      quadratic += (p[e] - q[e]) * (p[e] - q[e]) / ((p[e] + q[e]) / 2);
    }

    assertThat(JensenShannon.BITS * JensenShannon.divergence(p, q))
        .isCloseTo(quadratic, within(1e-6));
  }
}
