package dev.smelt.agent.compress;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.merge.ExpertWeights;
import dev.smelt.agent.statistics.BlockMoments;
import dev.smelt.agent.statistics.ExpertMoments;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.function.Function;

/**
 * Each weight of an expert becomes {@code U V + S} by what its inputs really are: low rank from the
 * outputs' second moment, rows of S by the error they save. All matrices of the model compete for
 * the memory; what is given to one is chosen by the energy that its outputs would lose.
 *
 * <p>The energies of gate and up are made comparable with those of down by the share that they are
 * of their matrix, times the energy of the expert's outputs.
 *
 * @param moments of each block's experts; a group's are the sums of its members'
 * @param bytes that all experts together may take
 */
public record WhitenedFactoring(Function<MoeBlock, BlockMoments> moments, long bytes)
    implements Reduction {

  /** The bytes of one more rank, times this, go to rows of S. */
  private static final double ROWS_PER_RANK = 1.0 / 3;

  private record Key(String block, int group, Role role) {}

  /** A matrix that competes for ranks: what each further one gains and costs. */
  private record Choice(double[] gains, long rankBytes) {}

  private record Offer(double gainPerByte, Key key) {}

  @Override
  public Writer prepare(MergedGroups groups) {
    Map<Key, Choice> choices = new HashMap<>();
    for (MoeBlock block : groups.blocks()) {
      BlockMoments ofBlock = moments.apply(block);
      groups.each(
          block,
          (group, merged) -> addChoices(groups, block, ofBlock, group, merged.weights(), choices));
    }
    Map<Key, Integer> ranks = ranks(choices);
    return (tensors, group, merged) -> write(groups, tensors, group, merged.weights(), ranks);
  }

  private void addChoices(
      MergedGroups groups,
      MoeBlock block,
      BlockMoments ofBlock,
      int group,
      ExpertWeights merged,
      Map<Key, Choice> choices) {
    ExpertMoments sum = ofGroup(groups, block, ofBlock, group);
    double outputEnergy = energy(energies(groups.compute(), merged, Role.DOWN, sum));
    merged
        .matrices()
        .forEach(
            (role, matrix) -> {
              if (!role.bias()) {
                float[] values = energies(groups.compute(), merged, role, sum);
                double scale = outputEnergy / Math.max(energy(values), Double.MIN_NORMAL);
                int most = Math.min(matrix.rows(), matrix.cols());
                double[] gains = new double[most];
                for (int i = 0; i < most; i++) {
                  gains[i] = Math.max(0, values[i]) * scale;
                }
                int element = groups.checkpoint().expertDType(block, role).bytes();
                long rankBytes =
                    (long) ((matrix.rows() + matrix.cols()) * (1 + ROWS_PER_RANK) * element);
                choices.put(new Key(block.name(), group, role), new Choice(gains, rankBytes));
              }
            });
  }

  private Map<Key, Integer> ranks(Map<Key, Choice> choices) {
    Map<Key, Integer> ranks = new HashMap<>();
    PriorityQueue<Offer> offers =
        new PriorityQueue<>(Comparator.comparingDouble(Offer::gainPerByte).reversed());
    long left = bytes;
    for (Map.Entry<Key, Choice> entry : choices.entrySet()) {
      ranks.put(entry.getKey(), 1);
      left -= entry.getValue().rankBytes();
      offer(entry.getKey(), entry.getValue(), 1, offers);
    }
    if (left < 0) {
      throw new CompressionException(
          "a budget of %d bytes is below the %d that rank 1 of each matrix takes"
              .formatted(bytes, bytes - left));
    }
    while (!offers.isEmpty()) {
      Key key = offers.remove().key();
      Choice choice = choices.get(key);
      if (choice.rankBytes() <= left) {
        left -= choice.rankBytes();
        offer(key, choice, ranks.merge(key, 1, Integer::sum), offers);
      }
    }
    return ranks;
  }

  /** Beyond the rank where factors are as large as the matrix, there is nothing to win. */
  private static void offer(Key key, Choice choice, int rank, PriorityQueue<Offer> offers) {
    if (rank < choice.gains().length) {
      offers.add(new Offer(choice.gains()[rank] / choice.rankBytes(), key));
    }
  }

  private void write(
      MergedGroups groups,
      CompactTensors tensors,
      int group,
      ExpertWeights merged,
      Map<Key, Integer> ranks) {
    MoeBlock block = tensors.block();
    ExpertMoments sum = ofGroup(groups, block, moments.apply(block), group);
    merged
        .matrices()
        .forEach(
            (role, matrix) -> {
              if (role.bias()) {
                tensors.whole(group, role, matrix);
                return;
              }
              int rank = ranks.get(new Key(block.name(), group, role));
              int rows =
                  (int) (rank * ROWS_PER_RANK * (matrix.rows() + matrix.cols()) / matrix.cols());
              if ((long) rank * (matrix.rows() + matrix.cols()) + (long) rows * matrix.cols()
                  >= (long) matrix.rows() * matrix.cols()) {
                tensors.whole(group, role, matrix);
                return;
              }
              Compute compute = groups.compute();
              LowRank lowRank = LowRank.whitened(compute, matrix, input(role, sum), rank);
              Matrix residual = lowRank.residual(compute, matrix);
              tensors.factored(
                  group,
                  role,
                  lowRank,
                  RowSparse.most(
                      Math.min(rows, matrix.rows()),
                      RowSparse.outputEnergy(compute, residual, input(role, sum)),
                      residual));
            });
  }

  private static ExpertMoments ofGroup(
      MergedGroups groups, MoeBlock block, BlockMoments ofBlock, int group) {
    return groups.plan(block).members(group).stream()
        .map(member -> ofBlock.experts().get(member))
        .reduce(ExpertMoments::plus)
        .orElseThrow();
  }

  /** What each further rank saves of the outputs' energy. */
  private static float[] energies(
      Compute compute, ExpertWeights merged, Role role, ExpertMoments sum) {
    return compute.eigenvalues(
        LowRank.outputMoment(compute, merged.matrix(role), input(role, sum)));
  }

  private static Matrix input(Role role, ExpertMoments sum) {
    return role == Role.DOWN
        ? sum.activations()
        : sum.inputs()
            .orElseThrow(
                () ->
                    new CompressionException(
                        "whitening needs second moments of the experts' inputs, which these moments"
                            + " lack; record them with smelt trace --moments"));
  }

  private static double energy(float[] values) {
    double energy = 0;
    for (float value : values) {
      energy += Math.max(0, value);
    }
    return energy;
  }
}
