package dev.smelt.agent.compress;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.compute.SymmetricEigen;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.PriorityQueue;
import java.util.Random;
import org.junit.jupiter.api.Test;

class FactorBudgetTest {

  private static final Compute COMPUTE = Compute.cpu();
  private static final int ELEMENT = 2;

  private final Random random = new Random(5);

  /** A weight and the second moment of its inputs. */
  private record Problem(Matrix weight, Matrix moment) {

    SymmetricEigen eigen() {
      return LowRank.outputEigen(COMPUTE, weight, moment);
    }

    FactorSizes sizes() {
      return FactorSizes.of(eigen(), weight.cols(), ELEMENT, 1);
    }

    long bytes() {
      return (long) weight.rows() * weight.cols() * ELEMENT;
    }

    /** The share of the outputs' energy that row i loses at a rank, for all i. */
    double[] lost(int rank) {
      LowRank factors = LowRank.whitened(COMPUTE, weight, moment, rank);
      return RowSparse.outputEnergy(COMPUTE, factors.residual(COMPUTE, weight), moment);
    }
  }

  @Test
  void shouldForeseeWhatEachSizeLoses() {
    Problem problem = randomProblems().get(0);
    double all = Arrays.stream(problem.lost(1)).sum();

    for (FactorSizes.Choice choice : problem.sizes().choices()) {
      if (!choice.whole()) {
        double[] rising = problem.lost(choice.rank());
        Arrays.sort(rising);
        double loss = Arrays.stream(rising).limit(rising.length - choice.rows()).sum();
        assertThat(choice.loss()).isCloseTo(loss, within(1e-3 * all));
      }
    }
  }

  @Test
  void shouldListRisingBytesAndFallingLossUpToTheWholeMatrix() {
    for (Problem problem : randomProblems()) {
      List<FactorSizes.Choice> choices = problem.sizes().choices();

      assertThat(choices)
          .isSortedAccordingTo(Comparator.comparingLong(FactorSizes.Choice::bytes))
          .isSortedAccordingTo(Comparator.comparingDouble(FactorSizes.Choice::loss).reversed());
      assertThat(choices.get(choices.size() - 1))
          .isEqualTo(new FactorSizes.Choice(0, 0, problem.bytes(), 0));
    }
  }

  @Test
  void shouldStayWithinTheBudgetAndLeaveLessThanOneMatrix() {
    for (List<Problem> problems : List.of(randomProblems(), fixtureProblems())) {
      long largest = problems.stream().mapToLong(Problem::bytes).max().orElseThrow();
      for (double share : new double[] {0.1, 0.3, 0.5, 0.8, 1}) {
        long budget = (long) (share * bytes(problems));

        long spent =
            FactorBudget.spend(budget, sizes(problems)).stream()
                .mapToLong(FactorSizes.Choice::bytes)
                .sum();

        assertThat(spent).isLessThanOrEqualTo(budget).isGreaterThan(budget - largest);
      }
    }
  }

  @Test
  void shouldLoseNoMoreThanWithAFixedShareOfRows() {
    for (List<Problem> problems : List.of(randomProblems(), fixtureProblems())) {
      for (double share : new double[] {0.15, 0.3, 0.5, 0.7}) {
        long budget = (long) (share * bytes(problems));

        assertThat(loss(FactorBudget.spend(budget, sizes(problems))))
            .isLessThanOrEqualTo(withFixedShare(budget, problems));
      }
    }
  }

  @Test
  void shouldNeverLoseMoreWithMoreBytes() {
    for (List<Problem> problems : List.of(randomProblems(), fixtureProblems())) {
      List<FactorSizes> sizes = sizes(problems);
      double before = Double.POSITIVE_INFINITY;
      for (int percent = 10; percent <= 100; percent++) {
        double loss = loss(FactorBudget.spend(bytes(problems) * percent / 100, sizes));
        assertThat(loss).isLessThanOrEqualTo(before);
        before = loss;
      }
      assertThat(before).isZero();
    }
  }

  @Test
  void shouldKeepRowsThatStandOut() {
    // Given rows that have nothing in common with each other, nor with the rest of rank 2
    Matrix weight = COMPUTE.multiply(gaussian(48, 2), gaussian(2, 32));
    for (int col = 0; col < 32; col++) {
      for (int row : new int[] {7, 19, 30}) {
        weight.set(row, col, 10 * (float) random.nextGaussian());
      }
    }
    Problem problem = new Problem(weight, identity(32));

    // When
    FactorSizes.Choice choice =
        FactorBudget.spend(problem.bytes() / 4, List.of(problem.sizes())).get(0);

    // Then
    assertThat(choice.rows()).isBetween(1, 3);
    assertThat(choice.loss()).isLessThan(loss(List.of(rankOnly(problem, problem.bytes() / 4))));
  }

  @Test
  void shouldRefuseABudgetBelowRankOneOfEachMatrix() {
    assertThatThrownBy(() -> FactorBudget.spend(10, sizes(randomProblems())))
        .isInstanceOf(CompressionException.class)
        .hasMessageContaining("that rank 1 of each matrix takes");
  }

  @Test
  void shouldSpendNothingOnAMatrixThatTheTrafficNeverNeeds() {
    Problem used = randomProblems().get(0);
    Problem unused = new Problem(used.weight(), Matrix.zeros(32, 32));

    List<FactorSizes.Choice> spent =
        FactorBudget.spend(used.bytes() + used.bytes() / 8, sizes(List.of(unused, used)));

    assertThat(spent.get(0).rank()).isEqualTo(1);
    assertThat(spent.get(1).whole()).isTrue();
  }

  /** The most ranks without rows that fit. */
  private static FactorSizes.Choice rankOnly(Problem problem, long bytes) {
    long perRank = (long) (problem.weight().rows() + problem.weight().cols()) * ELEMENT;
    int rank = (int) (bytes / perRank);
    return new FactorSizes.Choice(rank, 0, rank * perRank, Arrays.stream(problem.lost(rank)).sum());
  }

  /** Ranks by the energy that each further one saves; a third of their bytes more goes to rows. */
  private static double withFixedShare(long budget, List<Problem> problems) {
    record Offer(double gainPerByte, int problem) {}
    int[] ranks = new int[problems.size()];
    List<float[]> gains = problems.stream().map(problem -> problem.eigen().values()).toList();
    PriorityQueue<Offer> offers =
        new PriorityQueue<>(Comparator.comparingDouble(Offer::gainPerByte).reversed());
    long left = budget;
    for (int i = 0; i < ranks.length; i++) {
      offers.add(new Offer(Double.POSITIVE_INFINITY, i));
    }
    while (!offers.isEmpty()) {
      int i = offers.remove().problem();
      Matrix weight = problems.get(i).weight();
      long cost = (long) ((weight.rows() + weight.cols()) * ELEMENT * 4 / 3.0);
      if (cost <= left) {
        left -= cost;
        ranks[i]++;
        if (ranks[i] < Math.min(weight.rows(), weight.cols())) {
          offers.add(new Offer(gains.get(i)[ranks[i]] / cost, i));
        }
      }
    }
    double loss = 0;
    for (int i = 0; i < ranks.length; i++) {
      Matrix weight = problems.get(i).weight();
      int size = weight.rows() + weight.cols();
      int rows = (int) (ranks[i] / 3.0 * size / weight.cols());
      if (ranks[i] * size + rows * weight.cols() < weight.rows() * weight.cols()) {
        double[] rising = problems.get(i).lost(ranks[i]);
        Arrays.sort(rising);
        loss += Arrays.stream(rising).limit(rising.length - rows).sum();
      }
    }
    return loss;
  }

  private static List<FactorSizes> sizes(List<Problem> problems) {
    return problems.stream().map(Problem::sizes).toList();
  }

  private static long bytes(List<Problem> problems) {
    return problems.stream().mapToLong(Problem::bytes).sum();
  }

  private static double loss(List<FactorSizes.Choice> choices) {
    return choices.stream().mapToDouble(FactorSizes.Choice::loss).sum();
  }

  private List<Problem> randomProblems() {
    List<Problem> problems = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      int rows = i % 2 == 0 ? 48 : 32;
      int cols = i % 2 == 0 ? 32 : 48;
      Matrix weight = COMPUTE.multiply(gaussian(rows, 4 + 6 * i), gaussian(4 + 6 * i, cols));
      problems.add(new Problem(weight, moment(cols, 1 + i)));
    }
    return problems;
  }

  /** Of two experts of the byte-level model, for inputs that have a few strong directions. */
  private List<Problem> fixtureProblems() {
    List<Problem> problems = new ArrayList<>();
    try (Checkpoint checkpoint = Checkpoint.open(Path.of("../tests/fixtures/byte-moe"))) {
      for (MoeBlock block : List.of(checkpoint.blocks().get(0), checkpoint.blocks().get(3))) {
        for (Role role : block.roles()) {
          int rows = role.rows(block.hidden(), block.width());
          int cols = block.elements(role) / rows;
          problems.add(
              new Problem(
                  new Matrix(rows, cols, checkpoint.expert(block, 5, role)), moment(cols, 3)));
        }
      }
    }
    return problems;
  }

  /** Of inputs whose directions differ in strength. */
  private Matrix moment(int size, int strong) {
    Matrix inputs = gaussian(4 * size, size);
    for (int sample = 0; sample < inputs.rows(); sample++) {
      for (int i = 0; i < size; i++) {
        inputs.set(sample, i, inputs.at(sample, i) / (1 + i / (float) strong));
      }
    }
    Matrix moment = Matrix.zeros(size, size);
    COMPUTE.addGram(1f, inputs, moment);
    return moment;
  }

  private static Matrix identity(int size) {
    Matrix identity = Matrix.zeros(size, size);
    for (int i = 0; i < size; i++) {
      identity.set(i, i, 1);
    }
    return identity;
  }

  private Matrix gaussian(int rows, int cols) {
    Matrix matrix = Matrix.zeros(rows, cols);
    for (int i = 0; i < matrix.values().length; i++) {
      matrix.values()[i] = (float) random.nextGaussian();
    }
    return matrix;
  }
}
