package dev.smelt.agent.control;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Test;

class TextWeightsTest {

  private static final List<double[]> PROSE =
      List.of(new double[] {0.7, 0.2, 0.1, 0.0}, new double[] {0.4, 0.4, 0.1, 0.1});
  private static final List<double[]> CODE =
      List.of(new double[] {0.1, 0.1, 0.2, 0.6}, new double[] {0.1, 0.1, 0.4, 0.4});
  private static final List<double[]> TABLES =
      List.of(new double[] {0.1, 0.1, 0.7, 0.1}, new double[] {0.7, 0.1, 0.1, 0.1});

  @Test
  void shouldRecoverTheMixtureThatMadeTheProfile() {
    List<double[]> profile =
        List.of(mix(0.75, PROSE.get(0), CODE.get(0)), mix(0.75, PROSE.get(1), CODE.get(1)));

    double[] weights = TextWeights.estimate(profile, List.of(PROSE, CODE, TABLES));

    assertThat(weights[0]).isCloseTo(0.75, within(0.01));
    assertThat(weights[1]).isCloseTo(0.25, within(0.01));
    assertThat(weights[2]).isCloseTo(0.0, within(0.01));
  }

  @Test
  void shouldStayUniformWhenNoTextExplainsTheProfile() {
    List<double[]> profile = List.of(new double[] {0, 0, 0, 0}, new double[] {0, 0, 0, 0});

    double[] weights = TextWeights.estimate(profile, List.of(PROSE, CODE));

    assertThat(weights).containsExactly(0.5, 0.5);
  }

  private static double[] mix(double share, double[] first, double[] second) {
    double[] mixed = new double[first.length];
    for (int i = 0; i < mixed.length; i++) {
      mixed[i] = share * first[i] + (1 - share) * second[i];
    }
    return mixed;
  }
}
