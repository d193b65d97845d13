package dev.smelt.agent.plan;

import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import dev.smelt.streams.usage.UsageStatistics;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Makes a plan from the usage of a checkpoint's MoE blocks. */
public final class Planner {

  private final Checkpoint checkpoint;
  private final Map<String, ? extends UsageStatistics> usage;
  private final PlanOptions options;

  private Planner(
      Checkpoint checkpoint, Map<String, ? extends UsageStatistics> usage, PlanOptions options) {
    this.checkpoint = checkpoint;
    this.usage = Map.copyOf(usage);
    this.options = options;
  }

  /**
   * The plan for every MoE block of the checkpoint.
   *
   * @param usage by block name, one entry per MoE block
   * @throws PlanException if a block has no usage or one of another shape, if the similarity or the
   *     strategy needs statistics that are not there, or if the budget is outside the possible
   */
  public static Plan plan(
      Checkpoint checkpoint, Map<String, ? extends UsageStatistics> usage, PlanOptions options) {
    return new Planner(checkpoint, usage, options).plan();
  }

  private Plan plan() {
    List<MoeBlock> blocks = checkpoint.blocks();
    List<Plan.Untouched> untouched =
        checkpoint.untouched().stream()
            .map(block -> new Plan.Untouched(block.name(), block.reason()))
            .toList();
    if (blocks.isEmpty()) {
      throw new PlanException(
          checkpoint.directory() + ": no block can be compressed: " + untouched.get(0).reason());
    }
    List<? extends UsageStatistics> ofBlocks = blocks.stream().map(this::usageOf).toList();
    int[] groups =
        options
            .budget()
            .groups(
                ofBlocks.stream().map(UsageStatistics::frequency).toList(),
                options.averageGroups(),
                options::fewestGroups);
    List<LayerPlan> layers = new ArrayList<>();
    for (int layer = 0; layer < groups.length; layer++) {
      MoeBlock block = blocks.get(layer);
      UsageStatistics ofBlock = ofBlocks.get(layer);
      layers.add(
          options
              .strategy()
              .layer(
                  block.name(),
                  ofBlock,
                  new Strategy.Share(groups[layer], options.maxGroup()),
                  () -> similarity(block, ofBlock)));
    }
    return new Plan(
        checkpoint.name(),
        options.strategy().toString(),
        Strategy.used(options),
        options.budget(),
        options.averageGroups(),
        options.maxGroup(),
        layers,
        untouched);
  }

  private UsageStatistics usageOf(MoeBlock block) {
    UsageStatistics found = usage.get(block.name());
    if (found == null) {
      throw new PlanException(
          "the statistics have nothing for %s of %s; they are of another model or incomplete"
              .formatted(block.name(), checkpoint.directory()));
    }
    if (found.experts() != block.experts()) {
      throw new PlanException(
          "%s: the statistics count %d experts, the checkpoint %s has %d"
              .formatted(block.name(), found.experts(), checkpoint.directory(), block.experts()));
    }
    for (int expert = 0; expert < found.experts(); expert++) {
      if (found.coActivation(expert, expert) > 0) {
        return found;
      }
    }
    throw new PlanException(
        block.name()
            + ": no token was routed to any expert; give statistics of traffic that reaches every"
            + " layer");
  }

  private SimilarityMatrix similarity(MoeBlock block, UsageStatistics ofLayer) {
    int experts = block.experts();
    double[] gram =
        switch (options.similarity()) {
          case ROUTER_LOGITS -> ofLayer.logitGram().orElseThrow(() -> noLogits(block));
          case CO_ACTIVATION -> coActivation(block, ofLayer);
          case ROUTER_WEIGHT -> Grams.ofRows(experts, checkpoint.floats(block.routerWeight()));
          case WEIGHT -> weightGram(block);
        };
    for (int expert = 0; expert < experts; expert++) {
      if (!Double.isFinite(gram[expert * experts + expert])) {
        throw new PlanException(
            "%s: --similarity %s finds NaN or infinite values for expert %d; the checkpoint is damaged, or its statistics are"
                .formatted(block.name(), options.similarity(), expert));
      }
    }
    return SimilarityMatrix.ofGram(experts, gram);
  }

  private double[] coActivation(MoeBlock block, UsageStatistics ofLayer) {
    if (block.topK() == 1) {
      throw new PlanException(
          block.name()
              + ": a top-1 router never chooses two experts together; use --similarity"
              + " router-logits, router-weight or weight");
    }
    int experts = block.experts();
    double[] gram = new double[experts * experts];
    for (int i = 0; i < experts; i++) {
      for (int j = 0; j < experts; j++) {
        gram[i * experts + j] = ofLayer.coActivation(i, j);
      }
    }
    return gram;
  }

  private static PlanException noLogits(MoeBlock block) {
    return new PlanException(
        block.name()
            + ": --similarity router-logits needs router logits, which these statistics lack;"
            + " choose co-activation, router-weight or weight");
  }

  private double[] weightGram(MoeBlock block) {
    int experts = block.experts();
    double[] gram = new double[experts * experts];
    for (Role role : block.roles()) {
      for (int i = 0; i < experts; i++) {
        float[] first = checkpoint.expert(block, i, role);
        for (int j = 0; j <= i; j++) {
          double product = Grams.dot(first, j == i ? first : checkpoint.expert(block, j, role));
          gram[i * experts + j] += product;
          gram[j * experts + i] = gram[i * experts + j];
        }
      }
    }
    return gram;
  }
}
