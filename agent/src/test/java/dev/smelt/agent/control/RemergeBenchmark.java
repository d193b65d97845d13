package dev.smelt.agent.control;

import dev.smelt.agent.compress.CompressOptions;
import dev.smelt.agent.compress.Whole;
import dev.smelt.agent.config.CompressionSettings;
import dev.smelt.agent.merge.Alignment;
import dev.smelt.agent.plan.Budget;
import dev.smelt.agent.plan.LayerPlan;
import dev.smelt.agent.plan.Plan;
import dev.smelt.agent.plan.Similarity;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.SafetensorsWriter;
import dev.smelt.store.safetensors.Tensor;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.ManifestDraft;
import dev.smelt.store.snapshot.Publication;
import dev.smelt.store.snapshot.SnapshotStore;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Random;
import java.util.Set;

/**
 * Time and bytes of a re-merge in which some of the groups of each layer change: {@code mvn
 * test-compile}, then run this class. Its argument is a folder that is written to.
 */
final class RemergeBenchmark {

  private static final int LAYERS = 4;
  private static final int GROUPS = 16;
  private static final int EXPERTS = 2 * GROUPS;
  private static final int HIDDEN = 256;
  private static final int WIDTH = 512;
  private static final int TIMES = 5;

  private final Checkpoint checkpoint;
  private final SnapshotStore store;
  private final Path folder;

  private RemergeBenchmark(Path folder) throws IOException {
    this.folder = folder;
    this.checkpoint = Checkpoint.open(write(folder.resolve("checkpoint")));
    this.store = SnapshotStore.open(folder.resolve("store"), Clock.systemUTC());
  }

  public static void main(String[] arguments) throws IOException {
    new RemergeBenchmark(Path.of(arguments[0])).run();
  }

  private void run() throws IOException {
    System.out.printf(
        "%d layers, %d experts of %dx%d in bf16, %d groups; median of %d%n",
        LAYERS, EXPERTS, WIDTH, HIDDEN, GROUPS, TIMES);
    AlignmentFile known = alignments("cold");
    Plan plan = plan(0, 0);
    long begun = System.nanoTime();
    Manifest active = publish(known, Reuse.nothing(plan), null);
    report("first, nothing cached", (System.nanoTime() - begun) / 1e6, active.bytes());
    for (int changed : new int[] {0, 1, 4, GROUPS}) {
      double[] millis = new double[TIMES];
      long bytes = 0;
      for (int time = 0; time < TIMES; time++) {
        Plan next = plan(changed, 1 + time + 10 * changed);
        begun = System.nanoTime();
        Reuse reuse = Reuse.between(next, plan, (block, group) -> true, 0.02);
        if (!reuse.everything()) {
          bytes = added(publish(known, reuse, active), active);
        }
        millis[time] = (System.nanoTime() - begun) / 1e6;
      }
      Arrays.sort(millis);
      report(changed + " of " + GROUPS + " groups changed", millis[TIMES / 2], bytes);
    }
    Plan other = plan(GROUPS, 1_000);
    begun = System.nanoTime();
    publish(alignments("restarted"), Reuse.nothing(other), active);
    report("all, alignments not cached", (System.nanoTime() - begun) / 1e6, active.bytes());
  }

  private AlignmentFile alignments(String name) throws IOException {
    return AlignmentFile.open(folder.resolve(name + ".bin"), checkpoint.digest());
  }

  private static void report(String what, double millis, long bytes) {
    System.out.printf("%-28s %9.1f ms %12d bytes written%n", what, millis, bytes);
  }

  private Manifest publish(AlignmentFile alignments, Reuse reuse, Manifest active)
      throws IOException {
    try (Publication publication = store.begin("m")) {
      new Smelter(
              checkpoint,
              new CompressionSettings(null, null, (double) GROUPS, null, null, null, null, null),
              "m-smoe",
              OptionalDouble.empty(),
              alignments,
              store::holds)
          .compress(
              new Smelter.Planned(
                  reuse, new CompressOptions(Alignment.DOMINANT, alignments, new Whole())),
              active,
              publication,
              (block, done, all) -> {});
      return publication.commit(
          ManifestDraft.of("benchmark", "hand", "m-smoe", checkpoint.digest()));
    }
  }

  private static long added(Manifest next, Manifest active) {
    Set<String> known = new HashSet<>();
    active.tensors().values().forEach(tensor -> known.add(tensor.digest()));
    return next.tensors().values().stream()
        .filter(tensor -> known.add(tensor.digest()))
        .mapToLong(tensor -> tensor.bytes())
        .sum();
  }

  /** Groups of two; in the first {@code changed} of each layer the weights move by {@code seed}. */
  private Plan plan(int changed, int seed) {
    List<LayerPlan> layers = new ArrayList<>();
    checkpoint
        .blocks()
        .forEach(
            block -> {
              List<Integer> dominant = new ArrayList<>();
              List<Integer> labels = new ArrayList<>();
              List<Double> frequency = new ArrayList<>();
              for (int group = 0; group < GROUPS; group++) {
                double share = group < changed ? 0.7 + seed * 1e-4 : 0.6;
                dominant.add(2 * group);
                labels.addAll(List.of(group, group));
                frequency.add(share / GROUPS);
                frequency.add((1 - share) / GROUPS);
              }
              layers.add(new LayerPlan(block.name(), dominant, labels, frequency, frequency));
            });
    return new Plan(
        "m", "m-smoe", Optional.of(Similarity.CO_ACTIVATION), Budget.EXACT, GROUPS, layers);
  }

  private static Path write(Path folder) throws IOException {
    Files.createDirectories(folder);
    Files.writeString(
        folder.resolve("config.json"),
        """
        {"model_type": "mixtral", "architectures": ["MixtralForCausalLM"], "hidden_act": "silu",
         "hidden_size": %d, "intermediate_size": %d, "num_hidden_layers": %d,
         "num_attention_heads": 4, "num_key_value_heads": 4, "num_local_experts": %d,
         "num_experts_per_tok": 2, "vocab_size": 256}
        """
            .formatted(HIDDEN, WIDTH, LAYERS, EXPERTS));
    Random random = new Random(1);
    List<Tensor> tensors = new ArrayList<>();
    for (int layer = 0; layer < LAYERS; layer++) {
      String block = "model.layers." + layer + ".block_sparse_moe.";
      tensors.add(tensor(random, block + "gate.weight", EXPERTS, HIDDEN));
      for (int expert = 0; expert < EXPERTS; expert++) {
        String of = block + "experts." + expert + ".";
        tensors.add(tensor(random, of + "w1.weight", WIDTH, HIDDEN));
        tensors.add(tensor(random, of + "w3.weight", WIDTH, HIDDEN));
        tensors.add(tensor(random, of + "w2.weight", HIDDEN, WIDTH));
      }
    }
    SafetensorsWriter.write(folder.resolve("model.safetensors"), Map.of(), tensors);
    return folder;
  }

  private static Tensor tensor(Random random, String name, int rows, int cols) {
    float[] values = new float[rows * cols];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return Tensor.floats(name, DType.BF16, List.of((long) rows, (long) cols), values);
  }
}
