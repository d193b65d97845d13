package dev.smelt.agent.control;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.agent.compress.CompactSink;
import dev.smelt.agent.compress.CompressOptions;
import dev.smelt.agent.compress.Compressor;
import dev.smelt.agent.compress.Progress;
import dev.smelt.agent.compress.Recipe;
import dev.smelt.agent.compress.Whole;
import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.config.CompressionSettings;
import dev.smelt.agent.merge.Alignment;
import dev.smelt.agent.merge.AlignmentCache;
import dev.smelt.agent.plan.Budget;
import dev.smelt.agent.plan.Plan;
import dev.smelt.agent.plan.PlanFile;
import dev.smelt.agent.plan.PlanOptions;
import dev.smelt.agent.plan.Planner;
import dev.smelt.agent.plan.Similarity;
import dev.smelt.agent.plan.Strategy;
import dev.smelt.agent.statistics.BlockMoments;
import dev.smelt.agent.statistics.TrafficStatistics;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.safetensors.Tensor;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.Publication;
import dev.smelt.store.snapshot.StoredTensor;
import dev.smelt.streams.usage.UsageStatistics;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.function.Function;
import java.util.function.Predicate;

/** Makes a candidate of a checkpoint from traffic, as the settings say. */
final class Smelter {

  /** Beside the plan in a manifest: how members were aligned, which the plan does not say. */
  private static final String ALIGN = "align";

  /** The same: which share of the full model's expert memory was to be filled. */
  private static final String MEMORY = "memory";

  private final Checkpoint checkpoint;
  private final CompressionSettings settings;
  private final Predicate<String> blobs;
  private final Strategy strategy;
  private final OptionalDouble memory;
  private final AlignmentCache alignments;
  private final Compressor compressor = new Compressor(Compute.cpu());

  /**
   * A plan and how to carry it out.
   *
   * @param reuse the plan, and what of it is there already
   * @param options how
   */
  record Planned(Reuse reuse, CompressOptions options) {}

  /**
   * @param strategy its name
   * @param memory the share of the full model's expert memory to fill; by the settings' groups if
   *     empty
   * @param alignments of this checkpoint
   * @param blobs whether the store has the blob of a digest
   * @throws RuntimeException if a name in the settings is unknown; the message lists the known ones
   */
  Smelter(
      Checkpoint checkpoint,
      CompressionSettings settings,
      String strategy,
      OptionalDouble memory,
      AlignmentCache alignments,
      Predicate<String> blobs) {
    this.checkpoint = checkpoint;
    this.settings = settings;
    this.blobs = blobs;
    this.strategy = Strategy.named(strategy);
    this.alignments = alignments;
    this.memory =
        memory.isPresent() || wholeExperts()
            ? memory
            : OptionalDouble.of(averageGroups() / averageExperts());
    Similarity.named(settings.similarity());
    Alignment.named(settings.align());
  }

  /** Strategy and memory in words. */
  String name() {
    return memory.isPresent()
        ? String.format(
            Locale.ROOT, "%s at %.0f %% of memory", strategy, 100 * memory.getAsDouble())
        : strategy.toString();
  }

  String strategy() {
    return strategy.toString();
  }

  boolean needsMoments() {
    return strategy == Strategy.SMELT;
  }

  /** The share of the full model's expert memory that it fills, as far as that is set. */
  double memory() {
    return memory.orElse(averageGroups() / averageExperts());
  }

  /**
   * Plans for traffic.
   *
   * @param moments of it, which some strategies need; asked for again while compressing
   * @param active what serves; its experts are kept where the plan does not change them materially
   * @throws dev.smelt.agent.plan.PlanException if the strategy lacks statistics
   * @throws dev.smelt.agent.compress.CompressionException if it lacks moments, or the share of
   *     memory is outside the possible
   */
  Planned plan(
      Map<String, ? extends UsageStatistics> usage,
      Optional<Function<MoeBlock, BlockMoments>> moments,
      Manifest active) {
    Recipe recipe = recipe(usage, moments);
    Plan plan = recipe.plan();
    return new Planned(
        comparable(plan, active) ? reuse(plan, active) : Reuse.nothing(plan), recipe.options());
  }

  private Recipe recipe(
      Map<String, ? extends UsageStatistics> usage,
      Optional<Function<MoeBlock, BlockMoments>> moments) {
    Similarity similarity = Similarity.named(settings.similarity());
    Alignment alignment = Alignment.named(settings.align());
    if (memory.isPresent()) {
      return Recipe.forBytes(
          checkpoint,
          new TrafficStatistics(usage, moments),
          new Recipe.Choices(strategy, similarity, Budget.EXACT, alignment),
          alignments,
          (long) (memory.getAsDouble() * Recipe.expertBytes(checkpoint)));
    }
    PlanOptions options = new PlanOptions(strategy, similarity, Budget.EXACT, averageGroups());
    return new Recipe(
        Planner.plan(checkpoint, usage, options),
        new CompressOptions(alignment, alignments, new Whole()));
  }

  private boolean wholeExperts() {
    return strategy != Strategy.SMELT && strategy != Strategy.MC_SMOE;
  }

  /** The neurons of a narrowed expert follow its moments, so that the plan says too little. */
  private boolean comparable(Plan plan, Manifest active) {
    return strategy != Strategy.SMELT
        && !active.fullModel()
        && active.checkpointDigest().equals(checkpoint.digest())
        && active.strategy().equals(plan.strategy())
        && active.plan().path(ALIGN).asText().equals(settings.align())
        && active.plan().path(MEMORY).asDouble() == memory.orElse(0);
  }

  private Reuse reuse(Plan plan, Manifest active) {
    return Reuse.between(
        plan,
        PlanFile.fromJson(active.plan()),
        (block, group) ->
            ofGroup(active, block, group).values().stream()
                .allMatch(tensor -> blobs.test(tensor.digest())),
        settings.reuseWithin());
  }

  /** The plan as a manifest keeps it. */
  JsonNode toJson(Plan plan) {
    ObjectNode json = ((ObjectNode) PlanFile.toJson(plan)).put(ALIGN, settings.align());
    memory.ifPresent(share -> json.put(MEMORY, share));
    return json;
  }

  /**
   * Writes the experts of a plan to a publication, block by block; those that are kept are taken
   * over without their bytes.
   */
  void compress(Planned planned, Manifest active, Publication publication, Progress progress)
      throws IOException {
    Reuse reuse = planned.reuse();
    compressor.compress(
        checkpoint,
        reuse.plan(),
        planned.options(),
        new CompactSink() {
          @Override
          public void accept(MoeBlock block, List<Tensor> tensors) {
            tensors.forEach(publication::add);
            keep(reuse, block.name(), active, publication);
          }

          @Override
          public boolean holds(MoeBlock block, int group) {
            return reuse.kept(block.name(), group).isPresent();
          }
        },
        progress);
  }

  private static void keep(Reuse reuse, String block, Manifest active, Publication publication) {
    int groups = reuse.plan().layer(block).orElseThrow().groups();
    for (int group = 0; group < groups; group++) {
      OptionalInt before = reuse.kept(block, group);
      if (before.isPresent()) {
        String to = prefix(block, group);
        ofGroup(active, block, before.getAsInt())
            .forEach((role, tensor) -> publication.reuse(to + role, tensor));
      }
    }
  }

  /** The tensors of a group by what follows the group's number in their names. */
  private static Map<String, StoredTensor> ofGroup(Manifest active, String block, int group) {
    String prefix = prefix(block, group);
    Map<String, StoredTensor> tensors = new LinkedHashMap<>();
    active
        .tensors()
        .forEach(
            (name, tensor) -> {
              if (name.startsWith(prefix)) {
                tensors.put(name.substring(prefix.length()), tensor);
              }
            });
    return tensors;
  }

  private static String prefix(String block, int group) {
    return block + ".groups." + group + ".";
  }

  private double averageGroups() {
    return Optional.ofNullable(settings.averageGroups()).orElseGet(() -> 0.75 * averageExperts());
  }

  private double averageExperts() {
    return checkpoint.blocks().stream().mapToInt(MoeBlock::experts).average().orElse(1);
  }
}
