package dev.smelt.agent.compute;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LeadingEigenvectorsTest {

  private static final Compute COMPUTE = Compute.cpu();

  /** Spectra from flat to falling by six orders of magnitude, and one of low rank. */
  @ParameterizedTest
  @CsvSource({"0, 150", "0.5, 150", "2, 150", "0, 30", "0.5, 10"})
  void shouldLeaveOutNoMoreEnergyThanAFullDecomposition(double decay, int rank) {
    // Given
    int n = 150;
    int count = 20;
    Matrix matrix = moment(n, rank, decay);
    float[] all = COMPUTE.eigenvalues(matrix);

    // When
    Matrix leading = COMPUTE.leadingEigenvectors(matrix, count);

    // Then
    double trace = 0;
    double best = 0;
    for (int i = 0; i < n; i++) {
      trace += all[i];
      best += i < count ? all[i] : 0;
    }
    Matrix image = COMPUTE.multiply(matrix, leading);
    double captured = 0;
    for (int i = 0; i < image.values().length; i++) {
      captured += (double) image.values()[i] * leading.values()[i];
    }
    assertThat(trace - captured)
        .isLessThanOrEqualTo(1.001 * Math.max(0, trace - best) + 2e-6 * trace);
    Matrix products = COMPUTE.multiply(Transpose.YES, leading, Transpose.NO, leading);
    for (int i = 0; i < count; i++) {
      for (int j = 0; j < count; j++) {
        assertThat(products.at(i, j)).isCloseTo(i == j ? 1f : 0f, within(1e-5f));
      }
    }
  }

  private static Matrix moment(int n, int rank, double decay) {
    Random random = new Random(3);
    Matrix samples = Matrix.zeros(rank, n);
    for (int i = 0; i < rank; i++) {
      for (int j = 0; j < n; j++) {
        samples.set(i, j, (float) (random.nextGaussian() * Math.pow(i + 1, -decay)));
      }
    }
    return COMPUTE.multiply(Transpose.YES, samples, Transpose.NO, samples);
  }
}
