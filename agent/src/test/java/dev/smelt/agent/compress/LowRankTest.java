package dev.smelt.agent.compress;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.compute.SymmetricEigen;
import dev.smelt.agent.compute.Transpose;
import dev.smelt.agent.compute.WhiteningProbe;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LowRankTest {

  private static final Compute COMPUTE = Compute.cpu();
  private static final int RANK = 12;

  private final Random random = new Random(5);

  /** Wide and tall, and of less than the wanted rank. */
  @ParameterizedTest
  @CsvSource({"40, 60, 40", "60, 40, 40", "40, 60, 8", "60, 40, 8"})
  void shouldLoseTheLeastEnergyOfTheWeight(int rows, int cols, int rankOfWeight) {
    Matrix weight = COMPUTE.multiply(falling(rows, rankOfWeight), falling(rankOfWeight, cols));

    LowRank factors = LowRank.plain(COMPUTE, weight, RANK);

    float[] singular = WhiteningProbe.svd(weight).singular();
    double least = squares(Arrays.copyOfRange(singular, RANK, singular.length));
    assertThat(factors.rank()).isEqualTo(RANK);
    assertThat(squares(factors.residual(COMPUTE, weight).values()))
        .isLessThan(1.001 * least + 1e-6 * squares(singular));
  }

  /** Wide, tall, and tall of dependent columns, with inputs of full and of low rank. */
  @ParameterizedTest
  @CsvSource({"40, 60, 60, 60", "60, 40, 40, 40", "60, 40, 8, 40", "60, 40, 40, 6"})
  void shouldLoseTheOutputsLeastEnergy(int rows, int cols, int rankOfWeight, int rankOfInputs) {
    // Given
    Matrix outputs = COMPUTE.multiply(falling(rows, rankOfWeight), falling(rankOfWeight, cols));
    Matrix inputs = falling(rankOfInputs, cols);
    Matrix moment = COMPUTE.multiply(Transpose.YES, inputs, Transpose.NO, inputs);
    float[] energies = COMPUTE.symmetricEigen(COMPUTE.congruence(outputs, moment)).values();

    // When
    LowRank factors = LowRank.whitened(COMPUTE, outputs, moment, RANK);
    SymmetricEigen eigen = LowRank.outputEigen(COMPUTE, outputs, moment);

    // Then
    double all = 0;
    double least = 0;
    for (int i = 0; i < energies.length; i++) {
      all += energies[i];
      least += i < RANK ? 0 : Math.max(0, energies[i]);
    }
    double lost =
        Arrays.stream(RowSparse.outputEnergy(COMPUTE, factors.residual(COMPUTE, outputs), moment))
            .sum();
    assertThat(lost).isLessThan(1.001 * least + 1e-5 * all);
    assertThat(eigen.vectors().cols()).isEqualTo(rows);
    assertThat(eigen.values().length).isEqualTo(Math.min(rows, cols));
    for (int i = 0; i < eigen.values().length; i++) {
      assertThat((double) eigen.values()[i]).isCloseTo(energies[i], within(1e-5 * all));
    }
    Matrix image = COMPUTE.multiply(eigen.vectors(), COMPUTE.congruence(outputs, moment));
    for (int i = 0; i < RANK; i++) {
      assertThat(image.rowNorms()[i]).isCloseTo(Math.abs(eigen.values()[i]), within(1e-5 * all));
    }
  }

  private static double squares(float[] values) {
    double squares = 0;
    for (float value : values) {
      squares += (double) value * value;
    }
    return squares;
  }

  private Matrix falling(int rows, int cols) {
    Matrix matrix = Matrix.zeros(rows, cols);
    for (int i = 0; i < matrix.values().length; i++) {
      matrix.values()[i] = (float) (random.nextGaussian() / Math.sqrt(1 + i % cols));
    }
    return matrix;
  }
}
