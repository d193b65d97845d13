package dev.smelt.agent.inference;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class KernelsTest {

  @Test
  void shouldCalculateExponentialsToFloatPrecision() {
    for (float x = -87f; x < 88f; x += 0.01f) {
      double exact = Math.exp(x);
      assertThat((Kernels.exp(x) - exact) / exact).isCloseTo(0, within(2e-7));
    }
    assertThat(Kernels.exp(0f)).isEqualTo(1f);
  }

  @Test
  void shouldSaturateExponentials() {
    assertThat(Kernels.exp(Float.NEGATIVE_INFINITY)).isZero();
    assertThat(Kernels.exp(-1000f)).isZero();
    assertThat(Kernels.exp(1000f)).isInfinite();
    assertThat(Kernels.exp(Float.NaN)).isNaN();
  }

  @Test
  void shouldGiveFiniteGatedSiluForLargeInputs() {
    float[] gate = {-1000f, 1000f, 0f};

    Kernels.gatedSilu(gate, new float[] {2f, 2f, 2f}, 3);

    assertThat(gate).containsExactly(-0f, 2000f, 0f);
  }

  @Test
  void shouldSumExponentialsWithoutOverflow() {
    assertThat(Kernels.logSumExp(new float[] {9f, 1000f, 1000f}, 1, 2))
        .isCloseTo(1000 + Math.log(2), within(1e-4));
  }
}
