package dev.smelt.agent.compress;

import dev.smelt.agent.merge.Alignment;
import dev.smelt.agent.merge.AlignmentCache;
import dev.smelt.agent.plan.Budget;
import dev.smelt.agent.plan.LayerPlan;
import dev.smelt.agent.plan.Plan;
import dev.smelt.agent.plan.PlanOptions;
import dev.smelt.agent.plan.Planner;
import dev.smelt.agent.plan.Similarity;
import dev.smelt.agent.plan.Strategy;
import dev.smelt.agent.statistics.TrafficStatistics;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import dev.smelt.store.files.Digests;
import java.nio.charset.StandardCharsets;
import java.util.OptionalInt;

/**
 * A plan and how to carry it out.
 *
 * @param plan what becomes of the experts
 * @param options how
 */
public record Recipe(Plan plan, CompressOptions options) {

  /** How much of a factored matrix goes to low rank; the rest goes to kept rows. */
  private static final double LOW_RANK_SHARE = 0.75;

  /**
   * How to plan and merge; what a memory budget leaves open.
   *
   * @param similarity what groups are formed by
   * @param budget how layers share the groups
   * @param maxGroup as in {@link PlanOptions}
   * @param alignment what members are aligned to
   */
  public record Choices(
      Strategy strategy,
      Similarity similarity,
      Budget budget,
      OptionalInt maxGroup,
      Alignment alignment) {

    /** With the strategy's own bound on groups. */
    public Choices(Strategy strategy, Similarity similarity, Budget budget, Alignment alignment) {
      this(strategy, similarity, budget, OptionalInt.empty(), alignment);
    }

    public Choices with(Similarity other) {
      return new Choices(strategy, other, budget, maxGroup, alignment);
    }

    public Choices with(Budget other) {
      return new Choices(strategy, similarity, other, maxGroup, alignment);
    }

    public Choices with(Alignment other) {
      return new Choices(strategy, similarity, budget, maxGroup, other);
    }
  }

  /**
   * The recipe that fits all experts into a memory budget.
   *
   * <p>Merging and pruning keep as many experts as fit. {@code mc-smoe} halves the saving, in
   * ratios, between merging and factoring. {@code smelt} spends the budget neuron by neuron.
   *
   * @param bytes that all experts of all blocks may take
   * @throws CompressionException if the budget is outside the possible, or {@code smelt} lacks
   *     moments
   * @throws dev.smelt.agent.plan.PlanException as {@link Planner#plan}
   */
  public static Recipe forBytes(
      Checkpoint checkpoint,
      TrafficStatistics statistics,
      Choices choices,
      AlignmentCache alignments,
      long bytes) {
    long all = expertBytes(checkpoint);
    if (bytes <= 0 || bytes > all) {
      throw new CompressionException(
          "a budget of %d bytes is outside the possible: the experts of %s take %d"
              .formatted(bytes, checkpoint.directory(), all));
    }
    double share = (double) bytes / all;
    double kept = choices.strategy() == Strategy.MC_SMOE ? Math.sqrt(share) : share;
    int experts = checkpoint.blocks().stream().mapToInt(MoeBlock::experts).max().orElse(1);
    double averageGroups =
        choices.strategy() == Strategy.SMELT ? experts : Math.max(1, kept * experts);
    Plan plan =
        Planner.plan(
            checkpoint,
            statistics.usage(),
            new PlanOptions(
                choices.strategy(),
                choices.similarity(),
                choices.budget(),
                averageGroups,
                choices.maxGroup()));
    Reduction reduction =
        switch (choices.strategy()) {
          case SMELT ->
              new Narrowing(
                  statistics
                      .moments()
                      .orElseThrow(
                          () ->
                              new CompressionException(
                                  "smelt needs second moments of the experts' activations; give"
                                      + " --moments or choose another strategy")),
                  bytes);
          case MC_SMOE -> new Factoring(LOW_RANK_SHARE * kept, (1 - LOW_RANK_SHARE) * kept);
          case M_SMOE, FREQUENCY_PRUNE, REAP, REAM -> new Whole();
        };
    return new Recipe(plan, new CompressOptions(choices.alignment(), alignments, reduction));
  }

  /** The same plan, carried out with another reduction. */
  public Recipe reducedBy(Reduction reduction) {
    return new Recipe(
        plan, new CompressOptions(options.alignment(), options.alignments(), reduction));
  }

  /**
   * Which merged experts come of this, however they are reduced afterwards: 64 hexadecimal digits
   * that differ for another checkpoint, other groups or weights, and another alignment.
   */
  public String groups(Checkpoint checkpoint) {
    StringBuilder what =
        new StringBuilder(checkpoint.digest()).append('\n').append(options.alignment());
    for (LayerPlan layer : plan.layers()) {
      what.append('\n')
          .append(layer.block())
          .append(layer.dominant())
          .append(layer.labels())
          .append(layer.weights());
    }
    return Digests.hex(Digests.of(what.toString().getBytes(StandardCharsets.UTF_8)));
  }

  /** Bytes of all experts of a checkpoint in their stored types. */
  public static long expertBytes(Checkpoint checkpoint) {
    long bytes = 0;
    for (MoeBlock block : checkpoint.blocks()) {
      for (Role role : block.roles()) {
        bytes +=
            (long) block.experts()
                * block.elements(role)
                * checkpoint.expertDType(block, role).bytes();
      }
    }
    return bytes;
  }
}
