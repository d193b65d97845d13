package dev.smelt.agent.compute;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ComputeTest {

  private final Compute compute = Compute.cpu();
  private final Random random = new Random(7);

  @ParameterizedTest
  @CsvSource({"3,4,5", "1,7,2", "300,310,320", "5,0,3"})
  void shouldMultiplyInEveryTransposition(int m, int k, int n) {
    for (Transpose ofA : Transpose.values()) {
      for (Transpose ofB : Transpose.values()) {
        // Given
        Matrix a = ofA == Transpose.NO ? random(m, k) : random(k, m);
        Matrix b = ofB == Transpose.NO ? random(k, n) : random(n, k);
        Matrix c = random(m, n);
        Matrix expected = naive(ofA, ofB, 0.5f, a, b, 2f, c);

        // When
        compute.gemm(ofA, ofB, 0.5f, a, b, 2f, c);

        // Then
        assertClose(c, expected, 1e-3f);
      }
    }
  }

  @Test
  void shouldIgnoreOldContentWhenBetaIsZero() {
    Matrix c = Matrix.zeros(2, 2);
    Arrays.fill(c.values(), Float.NaN);

    compute.gemm(Transpose.NO, Transpose.NO, 1f, Matrix.identity(2), Matrix.identity(2), 0f, c);

    assertThat(c.values()).containsExactly(1f, 0f, 0f, 1f);
  }

  @Test
  void shouldRefuseShapesThatDoNotFit() {
    assertThatThrownBy(() -> compute.multiply(Matrix.zeros(2, 3), Matrix.zeros(4, 2)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("the product of 2 x 3 and 4 x 2 does not fit 2 x 2");
  }

  @ParameterizedTest
  @CsvSource({"3,5", "5,3", "300,310", "0,2", "2,0"})
  void shouldMapSecondMoments(int h, int d) {
    Matrix w = random(h, d);
    Matrix x = random(d + 3, d);
    Matrix moment = compute.multiply(Transpose.YES, x, Transpose.NO, x);
    Matrix expected = compute.multiply(Transpose.NO, compute.multiply(w, moment), Transpose.YES, w);

    Matrix mapped = compute.congruence(w, moment);

    assertClose(mapped, expected, 1e-5f * (1 + d) * (1 + d));
  }

  @Test
  void shouldRefuseSecondMomentsOfAnotherWidth() {
    assertThatThrownBy(() -> compute.congruence(Matrix.zeros(2, 3), Matrix.identity(4)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("a map of 3 inputs does not fit a second moment of 4");
  }

  @Test
  void shouldAddGramAndAccumulate() {
    Matrix x = random(50, 6);
    Matrix gram = Matrix.identity(6);

    compute.addGram(2f, x, gram);

    assertClose(gram, naive(Transpose.YES, Transpose.NO, 2f, x, x, 1f, Matrix.identity(6)), 1e-3f);
    Matrix sum = Matrix.identity(6);
    compute.accumulate(3f, Matrix.identity(6), sum);
    assertThat(sum.at(2, 2)).isEqualTo(4f);
  }

  @Test
  void shouldDecomposeSymmetricMatrixWithLargestEigenvalueFirst() {
    Matrix x = random(40, 12);
    Matrix symmetric = compute.multiply(Transpose.YES, x, Transpose.NO, x);

    SymmetricEigen eigen = compute.symmetricEigen(symmetric);

    Matrix scaled = eigen.vectors().copy();
    scaled.scaleRows(eigen.values());
    assertClose(
        compute.multiply(Transpose.YES, eigen.vectors(), Transpose.NO, scaled), symmetric, 1e-3f);
    for (int i = 1; i < 12; i++) {
      assertThat(eigen.values()[i]).isLessThanOrEqualTo(eigen.values()[i - 1]);
    }
  }

  @ParameterizedTest
  @CsvSource({"9,5", "5,9", "1,1"})
  void shouldFactorIntoSingularValues(int m, int n) {
    Matrix matrix = random(m, n);

    Svd svd = WhiteningProbe.svd(matrix);

    Matrix scaled = svd.right().copy();
    scaled.scaleRows(svd.singular());
    assertClose(compute.multiply(svd.left(), scaled), matrix, 1e-4f);
    int k = Math.min(m, n);
    assertClose(
        compute.multiply(Transpose.YES, svd.left(), Transpose.NO, svd.left()),
        Matrix.identity(k),
        1e-4f);
  }

  @ParameterizedTest
  @CsvSource({"9,5", "5,5", "1,1", "3,0"})
  void shouldFactorTallMatricesIntoOrthonormalAndTriangular(int m, int n) {
    Matrix matrix = random(m, n);

    Qr qr = compute.qr(matrix);

    Matrix orthonormal = qr.times(Matrix.identity(n));
    assertClose(qr.times(qr.triangular()), matrix, 1e-5f);
    assertClose(compute.multiply(orthonormal, qr.triangular()), matrix, 1e-5f);
    assertClose(
        compute.multiply(Transpose.YES, orthonormal, Transpose.NO, orthonormal),
        Matrix.identity(n),
        1e-5f);
    for (int i = 0; i < n; i++) {
      for (int j = 0; j < i; j++) {
        assertThat(qr.triangular().at(i, j)).isZero();
      }
    }
  }

  @Test
  void shouldRefuseToFactorWideMatrices() {
    assertThatThrownBy(() -> compute.qr(Matrix.zeros(2, 3)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("a 2 x 3 matrix is not tall");
  }

  @Test
  void shouldRefuseToReflectWhatHasOtherRowsThanColumns() {
    assertThatThrownBy(() -> compute.qr(Matrix.zeros(3, 2)).times(Matrix.zeros(3, 2)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("2 orthonormal columns don't fit a 3 x 2 matrix");
  }

  @Test
  void shouldRefuseToDecomposeNaN() {
    Matrix matrix = Matrix.identity(3);
    matrix.set(1, 1, Float.NaN);

    assertThatThrownBy(() -> WhiteningProbe.svd(matrix))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("NaN");
    assertThatThrownBy(() -> compute.symmetricEigen(matrix))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("NaN");
    Matrix larger = Matrix.identity(4);
    larger.set(1, 1, Float.NaN);
    assertThatThrownBy(() -> compute.leadingEigenvectors(larger, 1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("NaN");
  }

  @Test
  void shouldRecoverTheMapThatMadeTheTargets() {
    // Given y = W h for many h
    Matrix w = random(3, 8);
    Matrix h = random(100, 8);
    Matrix y = compute.multiply(Transpose.NO, h, Transpose.YES, w);
    Matrix gram = compute.multiply(Transpose.YES, h, Transpose.NO, h);
    Matrix cross = compute.multiply(Transpose.YES, y, Transpose.NO, h);

    // When
    Matrix solved = compute.solveRidge(cross, gram, 1e-6);

    // Then
    assertClose(solved, w, 1e-3f);
  }

  @Test
  void shouldRefuseSingularRidgeSystem() {
    assertThatThrownBy(() -> compute.solveRidge(random(2, 3), Matrix.zeros(3, 3), 0))
        .isInstanceOf(ArithmeticException.class)
        .hasMessageContaining("raise the ridge");
  }

  @ParameterizedTest
  @CsvSource({"1", "2", "33"})
  void shouldProjectThroughWeights(int samples) {
    Matrix matrix = random(5, 7);
    Matrix x = random(samples, 7);
    float[] y = new float[samples * 5 + 3];

    compute.project(compute.weights(matrix), samples, x.values(), y);

    assertClose(
        new Matrix(samples, 5, Arrays.copyOf(y, samples * 5)),
        naive(Transpose.NO, Transpose.YES, 1f, x, matrix, 0f, Matrix.zeros(samples, 5)),
        1e-4f);
  }

  @ParameterizedTest
  @CsvSource({"0", "1", "3", "12"})
  void shouldFindTheLeadingEigenvectorsAlone(int count) {
    Matrix x = random(40, 12);
    Matrix gram = compute.multiply(Transpose.YES, x, Transpose.NO, x);
    SymmetricEigen all = compute.symmetricEigen(gram);

    Matrix leading = compute.leadingEigenvectors(gram, count);

    Matrix expected = all.vectors().rows(0, count);
    expected.scaleRows(Arrays.copyOf(all.values(), count));
    assertThat(leading.cols()).isEqualTo(count);
    Matrix image = compute.multiply(gram, leading).transpose();
    for (int i = 0; i < count; i++) {
      float sign = Math.signum(image.at(i, 0) * expected.at(i, 0));
      for (int j = 0; j < 12; j++) {
        assertThat(image.at(i, j)).isCloseTo(sign * expected.at(i, j), within(2e-3f));
      }
    }
  }

  @Test
  void shouldRefuseToFindMoreEigenvectorsThanThereAre() {
    assertThatThrownBy(() -> compute.leadingEigenvectors(Matrix.identity(3), 4))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("a 3 x 3 matrix does not have 4 eigenvectors");
  }

  @Test
  void shouldFindEigenvaluesAlone() {
    Matrix x = random(40, 12);
    Matrix gram = compute.multiply(Transpose.YES, x, Transpose.NO, x);

    float[] values = compute.eigenvalues(gram);

    assertThat(values).containsExactly(compute.symmetricEigen(gram).values(), within(1e-3f));
  }

  @Test
  void shouldGatherAndTranspose() {
    Matrix matrix = new Matrix(2, 3, new float[] {1, 2, 3, 4, 5, 6});

    assertThat(matrix.transpose().values()).containsExactly(1, 4, 2, 5, 3, 6);
    assertThat(matrix.gatherRows(new int[] {1, 1}).values()).containsExactly(4, 5, 6, 4, 5, 6);
    assertThat(matrix.gatherColumns(new int[] {2, 0}).values()).containsExactly(3, 1, 6, 4);
    assertThat(matrix.rows(1, 2).values()).containsExactly(4, 5, 6);
    assertThat(matrix.norm()).isCloseTo(Math.sqrt(91), within(1e-9));
  }

  private Matrix random(int rows, int cols) {
    Matrix matrix = Matrix.zeros(rows, cols);
    for (int i = 0; i < matrix.values().length; i++) {
      matrix.values()[i] = (float) random.nextGaussian();
    }
    return matrix;
  }

  private static Matrix naive(
      Transpose ofA, Transpose ofB, float alpha, Matrix a, Matrix b, float beta, Matrix c) {
    Matrix left = ofA == Transpose.NO ? a : a.transpose();
    Matrix right = ofB == Transpose.NO ? b : b.transpose();
    Matrix result = Matrix.zeros(c.rows(), c.cols());
    for (int i = 0; i < c.rows(); i++) {
      for (int j = 0; j < c.cols(); j++) {
        double sum = 0;
        for (int k = 0; k < left.cols(); k++) {
          sum += (double) left.at(i, k) * right.at(k, j);
        }
        result.set(i, j, (float) (alpha * sum + (beta == 0f ? 0 : beta * c.at(i, j))));
      }
    }
    return result;
  }

  private static void assertClose(Matrix actual, Matrix expected, float tolerance) {
    assertThat(actual.rows()).isEqualTo(expected.rows());
    assertThat(actual.cols()).isEqualTo(expected.cols());
    for (int i = 0; i < expected.values().length; i++) {
      assertThat(actual.values()[i]).isCloseTo(expected.values()[i], within(tolerance));
    }
  }
}
