package dev.smelt.agent.compress;

import dev.smelt.agent.compute.SymmetricEigen;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * What a matrix loses as {@code U V + S}, by the bytes that it takes: ranks and kept rows chosen
 * together.
 *
 * <p>With the eigenpairs (λ, q) of the outputs' second moment, row i loses {@code e_i(r) = sum over
 * k >= r of λ_k q_ki²} when U and V have rank r; keeping the row in S takes that away. For each
 * rank the rows that lose most are the ones to keep, so the choices are one curve per rank, and
 * what is kept of them are the points that no other one undercuts in both.
 *
 * @param choices rising bytes, strictly falling loss; the first has rank 1 and no rows, the last is
 *     the whole matrix
 */
record FactorSizes(List<Choice> choices) {

  /** How finely bytes are told apart, in shares of the whole matrix. */
  private static final int STEPS = 128;

  /**
   * One way to store the matrix.
   *
   * @param rank of U and V, 0 for the matrix as a whole
   * @param rows kept in S
   * @param loss of the outputs' energy
   */
  record Choice(int rank, int rows, long bytes, double loss) {

    boolean whole() {
      return rank == 0;
    }
  }

  /**
   * @param eigen of the outputs' second moment, h x h; what it leaves out is zero
   * @param cols of the matrix, w
   * @param elementBytes bytes of each weight
   * @param scale what a unit of energy counts
   */
  static FactorSizes of(SymmetricEigen eigen, int cols, int elementBytes, double scale) {
    int rows = eigen.vectors().cols();
    long whole = (long) rows * cols * elementBytes;
    double[] lost = new double[rows];
    Choice[] least = new Choice[STEPS];
    Choice smallest = null;
    for (int rank = eigen.values().length - 1; rank >= 1; rank--) {
      addDirection(eigen, rank, lost);
      long factors = (long) rank * (rows + cols) * elementBytes;
      if (factors < whole) {
        smallest = offer(rank, factors, lost, cols * (long) elementBytes, whole, scale, least);
      }
    }
    return new FactorSizes(undercut(smallest, least, whole));
  }

  private static void addDirection(SymmetricEigen eigen, int k, double[] lost) {
    double energy = Math.max(0, eigen.values()[k]);
    for (int i = 0; i < lost.length; i++) {
      double share = eigen.vectors().at(k, i);
      lost[i] += energy * share * share;
    }
  }

  /** Offers a rank with every number of rows; returns the choice without any. */
  private static Choice offer(
      int rank,
      long factors,
      double[] lost,
      long rowBytes,
      long whole,
      double scale,
      Choice[] least) {
    double[] rising = lost.clone();
    Arrays.sort(rising);
    double loss = Arrays.stream(rising).sum() * scale;
    Choice none = new Choice(rank, 0, factors, loss);
    for (int kept = 0; kept <= rising.length; kept++) {
      long bytes = factors + kept * (rowBytes + Integer.BYTES);
      if (bytes >= whole) {
        break;
      }
      if (kept > 0) {
        loss = Math.max(0, loss - rising[rising.length - kept] * scale);
      }
      int step = (int) (bytes * STEPS / whole);
      if (least[step] == null || loss < least[step].loss()) {
        least[step] = new Choice(rank, kept, bytes, loss);
      }
    }
    return none;
  }

  private static List<Choice> undercut(Choice smallest, Choice[] least, long whole) {
    List<Choice> choices = new ArrayList<>();
    if (smallest != null) {
      choices.add(smallest);
    }
    for (Choice choice : least) {
      if (choice != null
          && (choices.isEmpty() || choice.loss() < choices.get(choices.size() - 1).loss())) {
        choices.add(choice);
      }
    }
    if (choices.isEmpty() || choices.get(choices.size() - 1).loss() > 0) {
      choices.add(new Choice(0, 0, whole, 0));
    }
    return choices;
  }

  /**
   * The positions of the choices on the lower convex hull: each gains less per byte than the one
   * before.
   */
  int[] hull() {
    int[] hull = new int[choices.size()];
    int size = 0;
    for (int next = 0; next < choices.size(); next++) {
      while (size >= 2
          && gainPerByte(hull[size - 2], hull[size - 1]) <= gainPerByte(hull[size - 2], next)) {
        size--;
      }
      hull[size++] = next;
    }
    return Arrays.copyOf(hull, size);
  }

  /** What each byte between two choices saves. */
  double gainPerByte(int from, int to) {
    return (choices.get(from).loss() - choices.get(to).loss())
        / (choices.get(to).bytes() - choices.get(from).bytes());
  }
}
