package dev.smelt.agent.merge;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.smelt.agent.Goldens;
import dev.smelt.store.safetensors.SafetensorsFile;
import dev.smelt.store.safetensors.TensorInfo;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CancellationException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class AssignmentTest {

  private static final String COSTS = ".costs";

  static List<String> problems() {
    try (SafetensorsFile file = SafetensorsFile.open(Goldens.path("assignment.safetensors"))) {
      return file.tensors().keySet().stream()
          .filter(name -> name.endsWith(COSTS))
          .map(name -> name.substring(0, name.length() - COSTS.length()))
          .toList();
    }
  }

  @ParameterizedTest
  @MethodSource("problems")
  void shouldReachTheObjectiveOfSciPy(String problem) {
    try (SafetensorsFile file = SafetensorsFile.open(Goldens.path("assignment.safetensors"))) {
      // Given
      TensorInfo info = file.tensor(problem + COSTS);
      int rows = Math.toIntExact(info.shape().get(0));
      int columns = Math.toIntExact(info.shape().get(1));
      float[] costs = file.floats(problem + COSTS);
      double objective = file.doubles(problem + ".objective")[0];

      // When
      int[] columnOf = Assignment.leastCost(rows, columns, costs);

      // Then
      assertThat(Arrays.stream(columnOf).distinct().count()).isEqualTo(rows);
      double sum = 0;
      for (int row = 0; row < rows; row++) {
        sum += costs[row * columns + columnOf[row]];
      }
      assertThat(sum).isCloseTo(objective, within(1e-6 * Math.max(1, Math.abs(objective))));
    }
  }

  @Test
  void shouldMaximiseGain() {
    float[] gains = {1, 5, 2, 3};

    assertThat(Assignment.greatestGain(2, 2, gains)).containsExactly(1, 0);
  }

  @Test
  void shouldRefuseCostsThatAreNotFinite() {
    assertThatThrownBy(() -> Assignment.leastCost(1, 2, new float[] {1, Float.NaN}))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("NaN");
  }

  @Test
  void shouldRefuseMoreRowsThanColumns() {
    assertThatThrownBy(() -> Assignment.leastCost(2, 1, new float[] {1, 2}))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void shouldStopWhenInterrupted() {
    Thread.currentThread().interrupt();

    try {
      assertThatThrownBy(() -> Assignment.leastCost(2, 2, new float[] {1, 1, 1, 1}))
          .isInstanceOf(CancellationException.class);
    } finally {
      assertThat(Thread.interrupted()).isTrue();
    }
  }
}
