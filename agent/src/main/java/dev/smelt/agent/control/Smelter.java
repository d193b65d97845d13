package dev.smelt.agent.control;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.agent.compress.CompactSink;
import dev.smelt.agent.compress.CompressOptions;
import dev.smelt.agent.compress.Compressor;
import dev.smelt.agent.compress.Progress;
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
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.safetensors.Tensor;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.Publication;
import dev.smelt.store.snapshot.StoredTensor;
import dev.smelt.streams.profile.Profile;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Predicate;

/** Makes a candidate of a checkpoint from a profile, as the settings say. */
final class Smelter {

  /** Beside the plan in a manifest: how members were aligned, which the plan does not say. */
  private static final String ALIGN = "align";

  private final Checkpoint checkpoint;
  private final CompressionSettings settings;
  private final Predicate<String> blobs;
  private final PlanOptions options;
  private final CompressOptions compression;
  private final Compressor compressor = new Compressor(Compute.cpu());

  /**
   * @param strategy one of the settings'
   * @param alignments of this checkpoint
   * @param blobs whether the store has the blob of a digest
   * @throws RuntimeException if a name in the settings is unknown; the message lists the known ones
   */
  Smelter(
      Checkpoint checkpoint,
      CompressionSettings settings,
      String strategy,
      AlignmentCache alignments,
      Predicate<String> blobs) {
    this.checkpoint = checkpoint;
    this.settings = settings;
    this.blobs = blobs;
    this.options =
        new PlanOptions(
            Strategy.named(strategy),
            Similarity.named(settings.similarity()),
            Budget.EXACT,
            Optional.ofNullable(settings.averageGroups()).orElseGet(this::threeQuarters));
    this.compression =
        new CompressOptions(Alignment.named(settings.align()), alignments, new Whole());
  }

  String strategy() {
    return options.strategy().toString();
  }

  /**
   * Plans for a profile.
   *
   * @param active what serves; its experts are kept where the plan does not change them materially
   */
  Reuse plan(Map<String, Profile> profiles, Manifest active) {
    Plan plan = Planner.plan(checkpoint, profiles, options);
    boolean comparable =
        !active.fullModel()
            && active.checkpointDigest().equals(checkpoint.digest())
            && active.strategy().equals(plan.strategy())
            && active.plan().path(ALIGN).asText().equals(settings.align());
    return comparable
        ? Reuse.between(
            plan,
            PlanFile.fromJson(active.plan()),
            (block, group) ->
                ofGroup(active, block, group).values().stream()
                    .allMatch(tensor -> blobs.test(tensor.digest())),
            settings.reuseWithin())
        : Reuse.nothing(plan);
  }

  /** The plan as a manifest keeps it. */
  JsonNode toJson(Plan plan) {
    return ((ObjectNode) PlanFile.toJson(plan)).put(ALIGN, settings.align());
  }

  /**
   * Writes the experts of a plan to a publication, block by block; those that are kept are taken
   * over without their bytes.
   */
  void compress(Reuse reuse, Manifest active, Publication publication, Progress progress)
      throws IOException {
    compressor.compress(
        checkpoint,
        reuse.plan(),
        compression,
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

  private double threeQuarters() {
    return checkpoint.blocks().stream().mapToInt(block -> block.experts()).average().orElse(0)
        * 0.75;
  }
}
