package dev.smelt.agent.compress;

import dev.smelt.agent.compute.Matrix;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * The rows that are kept of a residual; all others are zero.
 *
 * @param indices of the kept rows, rising
 * @param values the kept rows, k x w
 */
record RowSparse(int[] indices, Matrix values) {

  /** Keeps the rows whose importance is at least the threshold. */
  static RowSparse atLeast(double threshold, double[] importance, Matrix residual) {
    int[] kept =
        IntStream.range(0, importance.length).filter(row -> importance[row] >= threshold).toArray();
    return new RowSparse(kept, residual.gatherRows(kept));
  }

  /** Keeps the given number of the most important rows; ties go to the upper row. */
  static RowSparse most(int count, double[] importance, Matrix residual) {
    int[] kept =
        IntStream.range(0, importance.length)
            .boxed()
            .sorted(Comparator.comparingDouble((Integer row) -> importance[row]).reversed())
            .limit(count)
            .mapToInt(Integer::intValue)
            .sorted()
            .toArray();
    return new RowSparse(kept, residual.gatherRows(kept));
  }

  /** MC-SMoE's importance of a row without gradients: the mean magnitude of its entries. */
  static double[] magnitude(Matrix residual) {
    double[] importance = new double[residual.rows()];
    for (int row = 0; row < importance.length; row++) {
      double sum = 0;
      for (int col = 0; col < residual.cols(); col++) {
        sum += Math.abs(residual.at(row, col));
      }
      importance[row] = sum / residual.cols();
    }
    return importance;
  }

  /** A row's share of the expected squared error, {@code s C sᵀ}, for inputs of second moment C. */
  static double[] outputEnergy(
      dev.smelt.agent.compute.Compute compute, Matrix residual, Matrix moment) {
    Matrix half = compute.multiply(residual, moment);
    double[] energy = new double[residual.rows()];
    for (int row = 0; row < energy.length; row++) {
      double sum = 0;
      for (int col = 0; col < residual.cols(); col++) {
        sum += (double) half.at(row, col) * residual.at(row, col);
      }
      energy[row] = sum;
    }
    return energy;
  }

  /** The row importances of one residual and how many entries each row has. */
  record Importance(double[] rows, int cols) {}

  /**
   * The importance below which rows go: of all entries of all residuals, each as important as its
   * row, the one at position {@code floor(n (1 - keep))}, counted from 1, in rising order.
   */
  static double threshold(List<Importance> residuals, double keep) {
    record Row(double importance, int entries) {}
    List<Row> rows =
        residuals.stream()
            .flatMap(
                residual ->
                    Arrays.stream(residual.rows()).mapToObj(row -> new Row(row, residual.cols())))
            .sorted(Comparator.comparingDouble(Row::importance))
            .toList();
    long entries = rows.stream().mapToLong(Row::entries).sum();
    long position = Math.max(1, (long) (entries * (1 - keep)));
    long seen = 0;
    for (Row row : rows) {
      seen += row.entries();
      if (seen >= position) {
        return row.importance();
      }
    }
    return Double.POSITIVE_INFINITY;
  }
}
