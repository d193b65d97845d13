package dev.smelt.agent.compress;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.compute.SymmetricEigen;
import dev.smelt.agent.compute.Transpose;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LowRankTest {

  private static final Compute COMPUTE = Compute.cpu();
  private static final int RANK = 12;

  private final Random random = new Random(5);
  private final Matrix weight = falling(60, 40);
  private final LowRank best = LowRank.plain(COMPUTE, weight, RANK);

  @Test
  void shouldLoseNoMoreFromASimilarMatrixThanByDecomposition() {
    Matrix moved = weight.copy();
    for (int i = 0; i < moved.values().length; i++) {
      moved.values()[i] += 0.05f * (float) random.nextGaussian();
    }
    LowRank before = LowRank.plain(COMPUTE, moved, RANK);

    LowRank warm = LowRank.near(COMPUTE, weight, before.right(), RANK);

    assertThat(warm.rank()).isEqualTo(RANK);
    assertThat(loss(warm)).isLessThan(1.001 * loss(best));
    assertThat(warm.left().transpose().rows(0, 1).values())
        .as("a basis, which only iteration gives")
        .satisfies(column -> assertThat(squares(column)).isCloseTo(1, within(1e-3)));
  }

  @Test
  void shouldLoseNoMoreFromAMatrixThatHasNothingInCommon() {
    LowRank other = LowRank.plain(COMPUTE, falling(60, 40), RANK);

    assertThat(loss(LowRank.near(COMPUTE, weight, other.right(), RANK)))
        .isLessThan(1.001 * loss(best));
  }

  @Test
  void shouldDecomposeWhereTheRankIsAnother() {
    Matrix start = LowRank.plain(COMPUTE, weight, RANK - 1).right();

    assertThat(LowRank.near(COMPUTE, weight, start, RANK).left().values())
        .containsExactly(best.left().values());
  }

  @Test
  void shouldDecomposeWhereTheStartIsOfTooFewDirections() {
    assertThat(
            LowRank.near(COMPUTE, weight, Matrix.zeros(RANK, weight.cols()), RANK).left().values())
        .containsExactly(best.left().values());
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

  private double loss(LowRank lowRank) {
    return squares(lowRank.residual(COMPUTE, weight).values());
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
