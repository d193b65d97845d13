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
   * ratios, between merging and factoring. {@code smelt} spends the budget neuron by neuron. The
   * maps from router outputs to groups, 4 bytes for each expert, are not counted.
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
    Plan plan =
        switch (choices.strategy()) {
          case SMELT -> plan(checkpoint, statistics, choices, experts(checkpoint));
          case MC_SMOE ->
              plan(
                  checkpoint,
                  statistics,
                  choices,
                  Math.max(
                      checkpoint.blocks().size(),
                      (int) Math.round(Math.sqrt((double) bytes / all) * experts(checkpoint))));
          case M_SMOE, FREQUENCY_PRUNE, REAP, REAM ->
              planWithin(checkpoint, statistics, choices, bytes);
        };
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
          case MC_SMOE -> Factoring.within(bytes, checkpoint, plan);
          case M_SMOE, FREQUENCY_PRUNE, REAP, REAM -> new Whole();
        };
    return new Recipe(plan, new CompressOptions(choices.alignment(), alignments, reduction));
  }

  /** The plan with the most groups whose experts fit. */
  private static Plan planWithin(
      Checkpoint checkpoint, TrafficStatistics statistics, Choices choices, long bytes) {
    int layers = checkpoint.blocks().size();
    double bytesOfExpert = (double) expertBytes(checkpoint) / experts(checkpoint);
    int groups = (int) Math.max(layers, Math.floor(bytes / bytesOfExpert));
    while (true) {
      Plan plan = plan(checkpoint, statistics, choices, groups);
      long taken = groupBytes(checkpoint, plan);
      if (taken <= bytes) {
        return plan;
      }
      if (groups == layers) {
        throw new CompressionException(
            "a budget of %d bytes is below the %d that the fewest experts of every layer take"
                .formatted(bytes, taken));
      }
      groups = (int) Math.max(layers, groups - Math.ceil((taken - bytes) / bytesOfExpert));
    }
  }

  private static Plan plan(
      Checkpoint checkpoint, TrafficStatistics statistics, Choices choices, int groups) {
    return Planner.plan(
        checkpoint,
        statistics.usage(),
        new PlanOptions(
            choices.strategy(),
            choices.similarity(),
            choices.budget(),
            (double) groups / checkpoint.blocks().size(),
            choices.maxGroup()));
  }

  private static int experts(Checkpoint checkpoint) {
    return checkpoint.blocks().stream().mapToInt(MoeBlock::experts).sum();
  }

  /** Bytes of one expert of each group. */
  private static long groupBytes(Checkpoint checkpoint, Plan plan) {
    return checkpoint.blocks().stream()
        .mapToLong(
            block ->
                plan.layer(block.name()).orElseThrow().groups() * checkpoint.expertBytes(block))
        .sum();
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
    return checkpoint.blocks().stream()
        .mapToLong(block -> block.experts() * checkpoint.expertBytes(block))
        .sum();
  }
}
