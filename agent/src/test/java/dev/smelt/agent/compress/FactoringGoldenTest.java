package dev.smelt.agent.compress;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.smelt.agent.Goldens;
import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.store.safetensors.SafetensorsFile;
import java.util.List;
import org.assertj.core.data.Offset;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class FactoringGoldenTest {

  @ParameterizedTest
  @CsvSource({
    "w0, 0.15, 0.1", "w0, 0.15, 0.25", "w0, 0.35, 0.1", "w0, 0.35, 0.25",
    "w1, 0.15, 0.1", "w1, 0.15, 0.25", "w1, 0.35, 0.1", "w1, 0.35, 0.25",
    "w2, 0.15, 0.1", "w2, 0.15, 0.25", "w2, 0.35, 0.1", "w2, 0.35, 0.25"
  })
  void shouldFactorAsTheReference(String name, String ratio, String keep) {
    try (SafetensorsFile inputs =
            SafetensorsFile.open(Goldens.path("low-rank-sparse/inputs.safetensors"));
        SafetensorsFile expected =
            SafetensorsFile.open(Goldens.path("low-rank-sparse/expected.safetensors"))) {
      // Given
      List<Long> shape = inputs.tensor(name).shape();
      Matrix weight =
          new Matrix(
              Math.toIntExact(shape.get(0)), Math.toIntExact(shape.get(1)), inputs.floats(name));
      String ofRatio = name + ".ratio_" + ratio;
      String ofKeep = ofRatio + ".keep_" + keep;

      // When
      int rank = LowRank.rank(Double.parseDouble(ratio), weight.rows(), weight.cols());
      LowRank lowRank = LowRank.plain(Compute.cpu(), weight, rank);
      Matrix residual = lowRank.residual(Compute.cpu(), weight);
      double[] importance = RowSparse.magnitude(residual);
      double threshold =
          RowSparse.threshold(
              List.of(new RowSparse.Importance(importance, weight.cols())),
              Double.parseDouble(keep));
      RowSparse sparse = RowSparse.atLeast(threshold, importance, residual);

      // Then
      assertThat(rank).isEqualTo(expected.ints(ofRatio + ".rank")[0]);
      assertThat(lowRank.product(Compute.cpu()).values())
          .containsExactly(expected.floats(ofRatio + ".low_rank"), Offset.offset(1e-4f));
      assertThat(threshold).isCloseTo(expected.doubles(ofKeep + ".threshold")[0], within(1e-5));
      assertThat(dense(sparse, weight.rows()))
          .containsExactly(expected.floats(ofKeep + ".sparse"), Offset.offset(1e-4f));
    }
  }

  private static float[] dense(RowSparse sparse, int rows) {
    int cols = sparse.values().cols();
    float[] dense = new float[rows * cols];
    for (int i = 0; i < sparse.indices().length; i++) {
      System.arraycopy(sparse.values().values(), i * cols, dense, sparse.indices()[i] * cols, cols);
    }
    return dense;
  }
}
