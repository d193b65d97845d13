package dev.smelt.agent.compress;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.compute.Transpose;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

class NeuronRankingTest {

  private static final Compute COMPUTE = Compute.cpu();

  @Test
  void shouldGainTheWholeEnergyOfTheOutputsInAll() {
    Matrix down = random(5, 12, 1);
    Matrix moment = moment(random(40, 12, 2));
    Matrix cross = COMPUTE.multiply(down, moment);

    NeuronRanking ranking = NeuronRanking.of(new ActivationFit(cross, moment));

    Matrix energy = COMPUTE.multiply(Transpose.NO, cross, Transpose.YES, down);
    double trace = 0;
    for (int i = 0; i < 5; i++) {
      trace += energy.at(i, i);
    }
    assertThat(Arrays.stream(ranking.gains()).sum()).isCloseTo(trace, within(1e-4 * trace));
    assertThat(Arrays.stream(ranking.order()).sorted()).hasSize(12).doesNotHaveDuplicates();
  }

  @Test
  void shouldPredictTheErrorOfKeepingFewNeurons() {
    // Given
    Matrix down = random(5, 12, 1);
    Matrix activations = random(40, 12, 2);
    Matrix moment = moment(activations);
    NeuronRanking ranking =
        NeuronRanking.of(new ActivationFit(COMPUTE.multiply(down, moment), moment));
    int[] kept = Arrays.copyOf(ranking.order(), 6);

    // When
    Matrix fitted =
        COMPUTE.solveRidge(
            COMPUTE.multiply(down, moment).gatherColumns(kept),
            moment.gatherRows(kept).gatherColumns(kept),
            0);

    // Then
    Matrix error = COMPUTE.multiply(Transpose.NO, activations, Transpose.YES, down);
    COMPUTE.gemm(
        Transpose.NO, Transpose.YES, -1f, activations.gatherColumns(kept), fitted, 1f, error);
    double left = Arrays.stream(ranking.gains()).skip(6).sum();
    assertThat(error.norm() * error.norm()).isCloseTo(left, within(1e-3 * left));
  }

  @Test
  void shouldRankACopyOfANeuronLast() {
    Matrix activations = random(40, 8, 3);
    for (int row = 0; row < 40; row++) {
      activations.set(row, 7, activations.at(row, 0));
    }
    Matrix moment = moment(activations);
    for (int i = 0; i < 8; i++) {
      moment.set(i, i, moment.at(i, i) * 1.0001f);
    }

    NeuronRanking ranking =
        NeuronRanking.of(new ActivationFit(COMPUTE.multiply(random(5, 8, 4), moment), moment));

    assertThat(ranking.order()[7]).isIn(0, 7);
  }

  private static Matrix moment(Matrix activations) {
    return COMPUTE.multiply(Transpose.YES, activations, Transpose.NO, activations);
  }

  private static Matrix random(int rows, int cols, long seed) {
    Random random = new Random(seed);
    Matrix matrix = Matrix.zeros(rows, cols);
    for (int i = 0; i < matrix.values().length; i++) {
      matrix.values()[i] = (float) random.nextGaussian();
    }
    return matrix;
  }
}
