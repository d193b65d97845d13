package dev.smelt.agent.plan;

/**
 * How alike the experts of one layer are, symmetric, each value in [0, 1].
 *
 * @param experts the number of experts
 * @param values row-major, experts x experts
 */
public record SimilarityMatrix(int experts, double[] values) {

  private static final double EPSILON = 1e-7;

  /**
   * From the inner products of the experts' vectors: {@code (cos + 1) / 2}.
   *
   * @param gram row-major experts x experts; the diagonal holds the squared norms
   */
  public static SimilarityMatrix ofGram(int experts, double[] gram) {
    double[] values = new double[experts * experts];
    for (int i = 0; i < experts; i++) {
      for (int j = 0; j < experts; j++) {
        double norms =
            Math.max(Math.sqrt(gram[i * experts + i]), EPSILON)
                * Math.max(Math.sqrt(gram[j * experts + j]), EPSILON);
        values[i * experts + j] = (gram[i * experts + j] / norms + 1) / 2;
      }
    }
    return new SimilarityMatrix(experts, values);
  }

  public double between(int first, int second) {
    return values[first * experts + second];
  }
}
