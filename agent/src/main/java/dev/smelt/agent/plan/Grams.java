package dev.smelt.agent.plan;

/** Inner products of vectors, summed in double precision. */
final class Grams {

  private Grams() {}

  /** The inner products of all pairs of rows. */
  static double[] ofRows(int rows, float[] values) {
    int columns = values.length / rows;
    double[] gram = new double[rows * rows];
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j <= i; j++) {
        double sum = 0;
        for (int k = 0; k < columns; k++) {
          sum += (double) values[i * columns + k] * values[j * columns + k];
        }
        gram[i * rows + j] = sum;
        gram[j * rows + i] = sum;
      }
    }
    return gram;
  }

  static double dot(float[] first, float[] second) {
    double sum = 0;
    for (int k = 0; k < first.length; k++) {
      sum += (double) first[k] * second[k];
    }
    return sum;
  }
}
