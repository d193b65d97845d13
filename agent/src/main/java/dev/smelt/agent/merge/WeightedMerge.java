package dev.smelt.agent.merge;

import dev.smelt.agent.compute.Matrix;
import dev.smelt.store.checkpoint.Role;
import java.util.EnumMap;
import java.util.Map;

/**
 * The weighted average of a group's experts, {@code W = sum f_e W_e / (sum f_e + 1e-7)} for every
 * weight and bias (M-SMoE, equation 2), accumulated in 32-bit floats member by member, so that two
 * experts are in memory however large the group is.
 */
public final class WeightedMerge {

  static final double EPSILON = 1e-7;

  private final Map<Role, Matrix> sums = new EnumMap<>(Role.class);
  private double weight;

  /** Adds a member as it is stored. */
  public void add(ExpertWeights expert, double weight) {
    begin(expert, weight);
    expert
        .matrices()
        .forEach(
            (role, matrix) -> {
              float[] from = matrix.values();
              float[] into = sums.get(role).values();
              float factor = (float) weight;
              for (int i = 0; i < into.length; i++) {
                into[i] += factor * from[i];
              }
            });
  }

  /** Adds a member with its hidden neurons reordered: neuron i of the sum takes neuron p(i). */
  public void add(ExpertWeights expert, double weight, int[] permutation) {
    begin(expert, weight);
    expert
        .matrices()
        .forEach(
            (role, matrix) -> {
              Matrix into = sums.get(role);
              switch (role) {
                case GATE, UP -> addRows(matrix, (float) weight, permutation, into);
                case DOWN, GATE_BIAS, UP_BIAS ->
                    addColumns(matrix, (float) weight, permutation, into);
                case DOWN_BIAS -> addColumns(matrix, (float) weight, identity(matrix.cols()), into);
              }
            });
  }

  private static int[] identity(int n) {
    return java.util.stream.IntStream.range(0, n).toArray();
  }

  private void begin(ExpertWeights expert, double weight) {
    if (!(weight >= 0) || Double.isInfinite(weight)) {
      throw new MergeException("an expert can't be merged with a weight of " + weight);
    }
    this.weight += weight;
    expert
        .matrices()
        .forEach(
            (role, matrix) ->
                sums.computeIfAbsent(role, any -> Matrix.zeros(matrix.rows(), matrix.cols())));
  }

  private static void addRows(Matrix from, float factor, int[] permutation, Matrix into) {
    int cols = from.cols();
    float[] source = from.values();
    float[] sum = into.values();
    for (int row = 0; row < permutation.length; row++) {
      int read = permutation[row] * cols;
      int write = row * cols;
      for (int col = 0; col < cols; col++) {
        sum[write + col] += factor * source[read + col];
      }
    }
  }

  private static void addColumns(Matrix from, float factor, int[] permutation, Matrix into) {
    int cols = from.cols();
    float[] source = from.values();
    float[] sum = into.values();
    for (int row = 0; row < from.rows(); row++) {
      int at = row * cols;
      for (int col = 0; col < cols; col++) {
        sum[at + col] += factor * source[at + permutation[col]];
      }
    }
  }

  /**
   * The average of what was added.
   *
   * @throws MergeException if nothing was added, or only with weight zero
   */
  public ExpertWeights result() {
    if (weight == 0) {
      throw new MergeException("a group whose members all weigh nothing has no average");
    }
    float scale = (float) (1 / (weight + EPSILON));
    Map<Role, Matrix> merged = new EnumMap<>(Role.class);
    sums.forEach(
        (role, sum) -> {
          float[] values = sum.values().clone();
          for (int i = 0; i < values.length; i++) {
            values[i] *= scale;
          }
          merged.put(role, new Matrix(sum.rows(), sum.cols(), values));
        });
    return new ExpertWeights(merged);
  }
}
