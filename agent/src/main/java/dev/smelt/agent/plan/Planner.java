package dev.smelt.agent.plan;

import dev.smelt.agent.statistics.LayerUsage;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;

/** Makes a plan from the usage of a checkpoint's MoE blocks. */
public final class Planner {

  private final Checkpoint checkpoint;
  private final Map<String, LayerUsage> usage;
  private final PlanOptions options;

  private Planner(Checkpoint checkpoint, List<LayerUsage> usage, PlanOptions options) {
    this.checkpoint = checkpoint;
    this.usage = usage.stream().collect(Collectors.toMap(LayerUsage::block, Function.identity()));
    this.options = options;
  }

  /**
   * The plan for every MoE block of the checkpoint.
   *
   * @param usage one entry per MoE block, in any order
   * @throws PlanException if a block has no usage or one of another shape, if the similarity or the
   *     strategy needs statistics that are not there, or if the budget is outside the possible
   */
  public static Plan plan(Checkpoint checkpoint, List<LayerUsage> usage, PlanOptions options) {
    return new Planner(checkpoint, usage, options).plan();
  }

  private Plan plan() {
    List<MoeBlock> blocks = checkpoint.blocks();
    if (blocks.isEmpty()) {
      throw new PlanException(
          checkpoint.directory() + ": the checkpoint has no MoE block to plan for");
    }
    List<LayerUsage> ofBlocks = blocks.stream().map(this::usageOf).toList();
    int[] groups =
        options
            .budget()
            .groups(ofBlocks.stream().map(LayerUsage::frequency).toList(), options.averageGroups());
    List<LayerPlan> layers = new ArrayList<>();
    for (int layer = 0; layer < groups.length; layer++) {
      MoeBlock block = blocks.get(layer);
      layers.add(
          options
              .strategy()
              .layer(
                  ofBlocks.get(layer),
                  groups[layer],
                  block.topK(),
                  ofLayer -> similarity(block, ofLayer)));
    }
    return new Plan(
        checkpoint.name(),
        options.strategy().toString(),
        Strategy.used(options),
        options.budget(),
        options.averageGroups(),
        layers);
  }

  private LayerUsage usageOf(MoeBlock block) {
    LayerUsage found = usage.get(block.name());
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
    return found;
  }

  private SimilarityMatrix similarity(MoeBlock block, LayerUsage ofLayer) {
    int experts = block.experts();
    return SimilarityMatrix.ofGram(
        experts,
        switch (options.similarity()) {
          case ROUTER_LOGITS ->
              ofLayer
                  .logitGram()
                  .orElseThrow(() -> missing(block, "router logits", Similarity.CO_ACTIVATION));
          case CO_ACTIVATION -> coActivation(block, ofLayer);
          case ROUTER_WEIGHT -> Grams.ofRows(experts, checkpoint.floats(block.routerWeight()));
          case WEIGHT -> weightGram(block);
        });
  }

  private double[] coActivation(MoeBlock block, LayerUsage ofLayer) {
    if (block.topK() == 1) {
      throw new PlanException(
          block.name()
              + ": a top-1 router never chooses two experts together; use --similarity"
              + " router-logits, router-weight or weight");
    }
    double[] gram =
        ofLayer
            .coActivation()
            .orElseThrow(() -> missing(block, "co-activation", Similarity.ROUTER_WEIGHT))
            .clone();
    for (int expert = 0; expert < block.experts(); expert++) {
      gram[expert * block.experts() + expert] = ofLayer.counts()[expert];
    }
    return gram;
  }

  private PlanException missing(MoeBlock block, String what, Similarity instead) {
    return new PlanException(
        "%s: --similarity %s needs %s, which these statistics lack; choose for example --similarity %s"
            .formatted(block.name(), options.similarity(), what, instead));
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
