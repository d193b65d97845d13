package dev.smelt.agent.statistics;

import dev.smelt.agent.compute.Matrix;
import dev.smelt.store.checkpoint.MoeBlock;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * The second moments of a block's experts. Additive: moments of parts of the traffic add up to
 * those of all of it.
 *
 * @param block the block's name as in the checkpoint
 * @param experts one entry per expert
 * @param inputs {@code sum g² x xᵀ} over the picks of all experts, d x d, where inputs are recorded
 *     for the whole layer only; they stand for those of each expert then
 */
public record BlockMoments(String block, List<ExpertMoments> experts, Optional<Matrix> inputs) {

  public BlockMoments {
    experts =
        inputs.isEmpty()
            ? List.copyOf(experts)
            : experts.stream().map(expert -> expert.with(inputs)).toList();
  }

  /** With inputs recorded per expert, or not at all. */
  public BlockMoments(String block, List<ExpertMoments> experts) {
    this(block, experts, Optional.empty());
  }

  /**
   * Where one of both has inputs of the whole layer only, so has the sum.
   *
   * @throws StatisticsException if the blocks are not of one shape
   */
  public BlockMoments plus(BlockMoments other) {
    if (!other.block.equals(block) || other.experts.size() != experts.size()) {
      throw new StatisticsException(
          "moments of %s with %d experts can't be added to those of %s with %d"
              .formatted(other.block, other.experts.size(), block, experts.size()));
    }
    List<ExpertMoments> sums = new ArrayList<>();
    for (int expert = 0; expert < experts.size(); expert++) {
      sums.add(experts.get(expert).plus(other.experts.get(expert)));
    }
    return new BlockMoments(
        block,
        sums,
        inputs.isPresent() || other.inputs.isPresent()
            ? ofLayer().flatMap(own -> other.ofLayer().map(more -> Sums.of(own, more)))
            : Optional.empty());
  }

  private Optional<Matrix> ofLayer() {
    return inputs.or(
        () ->
            experts.stream().map(ExpertMoments::inputs).flatMap(Optional::stream).reduce(Sums::of));
  }

  /** No moments, and none of inputs to be recorded. */
  static BlockMoments zero(MoeBlock block) {
    return new BlockMoments(
        block.name(),
        IntStream.range(0, block.experts())
            .mapToObj(expert -> ExpertMoments.zero(block.width()))
            .toList());
  }

  /** The same traffic counted less: all sums times a factor. */
  BlockMoments times(double factor) {
    return new BlockMoments(
        block,
        experts.stream().map(expert -> expert.times(factor)).toList(),
        inputs.map(matrix -> Sums.scaled(matrix, factor)));
  }

  /** The same without the moments of the inputs. */
  BlockMoments ofActivations() {
    return new BlockMoments(
        block, experts.stream().map(expert -> expert.with(Optional.empty())).toList());
  }

  /** How many tokens its experts have seen together; one counts once for each of its picks. */
  double picks() {
    return experts.stream().mapToDouble(ExpertMoments::tokens).sum();
  }
}
