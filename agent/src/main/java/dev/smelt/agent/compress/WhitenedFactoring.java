package dev.smelt.agent.compress;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.compute.SymmetricEigen;
import dev.smelt.agent.merge.ExpertWeights;
import dev.smelt.agent.statistics.BlockMoments;
import dev.smelt.agent.statistics.ExpertMoments;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/**
 * Each weight of an expert becomes {@code U V + S} by what its inputs really are: low rank from the
 * outputs' second moment, rows of S by the error they save. All matrices of the model compete for
 * the memory; rank and rows of each are chosen together by the energy that its outputs would lose.
 *
 * <p>The energies of gate and up are made comparable with those of down by the share that they are
 * of their matrix, times the energy of the expert's outputs.
 *
 * @param moments of each block's experts; a group's are the sums of its members'
 * @param bytes that the weights and biases of all experts together may take; what is not used of
 *     them is less than one matrix, unless nothing is left to win
 */
public record WhitenedFactoring(Function<MoeBlock, BlockMoments> moments, long bytes)
    implements Reduction {

  private record Key(String block, int group, Role role) {}

  private record Sized(int group, Map<Role, FactorSizes> sizes) {}

  @Override
  public Writer prepare(MergedGroups groups) {
    List<Key> keys = new ArrayList<>();
    List<FactorSizes> sizes = new ArrayList<>();
    long[] left = {bytes};
    for (MoeBlock block : groups.blocks()) {
      BlockMoments ofBlock = moments.apply(block);
      groups
          .each(
              block,
              (group, merged) ->
                  new Sized(
                      group,
                      sizes(
                          groups, block, ofGroup(groups, block, ofBlock, group), merged.weights())))
          .forEach(
              sized -> {
                sized
                    .sizes()
                    .forEach(
                        (role, ofMatrix) -> {
                          keys.add(new Key(block.name(), sized.group(), role));
                          sizes.add(ofMatrix);
                        });
                left[0] -= biasBytes(groups, block);
              });
    }
    List<FactorSizes.Choice> spent = FactorBudget.spend(left[0], sizes);
    Map<Key, FactorSizes.Choice> choices = new HashMap<>();
    for (int matrix = 0; matrix < spent.size(); matrix++) {
      choices.put(keys.get(matrix), spent.get(matrix));
    }
    return block -> {
      BlockMoments ofBlock = moments.apply(block);
      return (tensors, merged) ->
          write(
              groups,
              tensors,
              merged.weights(),
              ofGroup(groups, block, ofBlock, tensors.group()),
              role -> choices.get(new Key(block.name(), tensors.group(), role)));
    };
  }

  private static Map<Role, FactorSizes> sizes(
      MergedGroups groups, MoeBlock block, ExpertMoments sum, ExpertWeights merged) {
    Map<Role, SymmetricEigen> eigen = new EnumMap<>(Role.class);
    merged
        .matrices()
        .forEach(
            (role, matrix) -> {
              if (!role.bias()) {
                eigen.put(role, LowRank.outputEigen(groups.compute(), matrix, input(role, sum)));
              }
            });
    double outputEnergy = energy(eigen.get(Role.DOWN).values());
    Map<Role, FactorSizes> sizes = new EnumMap<>(Role.class);
    eigen.forEach(
        (role, of) ->
            sizes.put(
                role,
                FactorSizes.of(
                    of,
                    merged.matrix(role).cols(),
                    groups.checkpoint().expertDType(block, role).bytes(),
                    outputEnergy / Math.max(energy(of.values()), Double.MIN_NORMAL))));
    return sizes;
  }

  private static long biasBytes(MergedGroups groups, MoeBlock block) {
    return block.roles().stream()
        .filter(Role::bias)
        .mapToLong(
            role ->
                (long) block.elements(role) * groups.checkpoint().expertDType(block, role).bytes())
        .sum();
  }

  private static void write(
      MergedGroups groups,
      CompactTensors tensors,
      ExpertWeights merged,
      ExpertMoments sum,
      Function<Role, FactorSizes.Choice> choices) {
    merged
        .matrices()
        .forEach(
            (role, matrix) -> {
              FactorSizes.Choice choice = choices.apply(role);
              if (role.bias() || choice.whole()) {
                tensors.whole(role, matrix);
                return;
              }
              Compute compute = groups.compute();
              LowRank lowRank = LowRank.whitened(compute, matrix, input(role, sum), choice.rank());
              Matrix residual = lowRank.residual(compute, matrix);
              tensors.factored(
                  role,
                  lowRank,
                  RowSparse.most(
                      choice.rows(),
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
