package dev.smelt.agent.compress;

import java.util.Comparator;
import java.util.List;
import java.util.PriorityQueue;
import java.util.stream.IntStream;

/**
 * Shares bytes out among matrices by the loss that each byte takes away.
 *
 * <p>All matrices start at their smallest size. The steps along their convex hulls are then taken
 * in the order of what a byte of them gains, which is the least loss that there is for the bytes
 * that are taken. The first step that is not affordable is taken as far as it is. What remains is
 * less than one matrix, and more bytes never lose more.
 */
final class FactorBudget {

  private final List<FactorSizes> matrices;
  private final int[][] hulls;
  private final int[] steps;

  private record Offer(double gainPerByte, int matrix) {}

  private FactorBudget(List<FactorSizes> matrices) {
    this.matrices = matrices;
    this.hulls = matrices.stream().map(FactorSizes::hull).toArray(int[][]::new);
    this.steps = new int[matrices.size()];
  }

  /**
   * @return the size of each matrix
   * @throws CompressionException if the bytes don't suffice for the smallest sizes
   */
  static List<FactorSizes.Choice> spend(long bytes, List<FactorSizes> matrices) {
    return new FactorBudget(matrices).spend(bytes);
  }

  private List<FactorSizes.Choice> spend(long bytes) {
    long left = bytes - matrices.stream().mapToLong(sizes -> sizes.choices().get(0).bytes()).sum();
    if (left < 0) {
      throw new CompressionException(
          "a budget of %d bytes is below the %d that rank 1 of each matrix takes"
              .formatted(bytes, bytes - left));
    }
    PriorityQueue<Offer> offers =
        new PriorityQueue<>(
            Comparator.comparingDouble(Offer::gainPerByte)
                .reversed()
                .thenComparingInt(Offer::matrix));
    IntStream.range(0, matrices.size()).forEach(matrix -> offer(matrix, offers));
    while (!offers.isEmpty()) {
      int matrix = offers.remove().matrix();
      long cost = chosen(matrix, steps[matrix] + 1).bytes() - chosen(matrix, steps[matrix]).bytes();
      if (cost > left) {
        return sizes(matrix, left);
      }
      left -= cost;
      steps[matrix]++;
      offer(matrix, offers);
    }
    return sizes(0, 0);
  }

  private void offer(int matrix, PriorityQueue<Offer> offers) {
    int step = steps[matrix];
    if (step + 1 < hulls[matrix].length) {
      offers.add(
          new Offer(
              matrices.get(matrix).gainPerByte(hulls[matrix][step], hulls[matrix][step + 1]),
              matrix));
    }
  }

  /** The sizes that were stepped to; one matrix may take bytes more. */
  private List<FactorSizes.Choice> sizes(int last, long more) {
    return IntStream.range(0, matrices.size())
        .mapToObj(
            matrix ->
                matrix == last
                    ? within(matrix, chosen(matrix, steps[matrix]).bytes() + more)
                    : chosen(matrix, steps[matrix]))
        .toList();
  }

  private FactorSizes.Choice within(int matrix, long bytes) {
    List<FactorSizes.Choice> choices = matrices.get(matrix).choices();
    int largest = 0;
    while (largest + 1 < choices.size() && choices.get(largest + 1).bytes() <= bytes) {
      largest++;
    }
    return choices.get(largest);
  }

  private FactorSizes.Choice chosen(int matrix, int step) {
    return matrices.get(matrix).choices().get(hulls[matrix][step]);
  }
}
