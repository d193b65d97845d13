package dev.smelt.agent.bench;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.control.RemergeProbe;
import dev.smelt.agent.merge.AlignmentCache;
import dev.smelt.agent.statistics.BlockMoments;
import dev.smelt.agent.statistics.ExpertMoments;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.SafetensorsWriter;
import dev.smelt.store.safetensors.Tensor;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.SnapshotStore;
import dev.smelt.streams.usage.Accumulator;
import dev.smelt.streams.usage.Usage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Random;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.apache.commons.statistics.descriptive.Median;

/**
 * Time and bytes of re-merges in which some of the groups of each layer change, from the plan to
 * the published snapshot: 4 layers of 32 random experts, whose energy falls over their directions
 * as that of trained ones does. Each beside the re-merge that has nothing to begin from.
 */
public final class RemergeBench {

  private static final int LAYERS = 4;
  private static final int GROUPS = 16;
  private static final int EXPERTS = 2 * GROUPS;
  private static final int HIDDEN = 256;
  private static final int WIDTH = 512;
  private static final int TIMES = 5;
  private static final String MODEL = "m";

  private final Checkpoint checkpoint;
  private final SnapshotStore store;
  private final AlignmentCache alignments;
  private final List<Figure> figures = new ArrayList<>();

  private RemergeBench(Checkpoint checkpoint, SnapshotStore store) {
    this.checkpoint = checkpoint;
    this.store = store;
    this.alignments = AlignmentCache.beside(checkpoint);
  }

  /**
   * @param folder is written to
   */
  public static List<Figure> run(Path folder) throws IOException {
    try (Checkpoint checkpoint = Checkpoint.open(write(folder.resolve("checkpoint")));
        SnapshotStore store = SnapshotStore.open(folder.resolve("store"), Clock.systemUTC())) {
      RemergeBench bench = new RemergeBench(checkpoint, store);
      // Half of the memory is half of the experts; a quarter is half of the experts, factored.
      double merged = bench.merging("m-smoe", 0.5);
      bench.merging("mc-smoe", 0.25);
      bench.narrowing(merged);
      return bench.figures;
    }
  }

  /** Tells the seconds of a re-merge that has nothing to begin from. */
  private double merging(String strategy, double memory) throws IOException {
    RemergeProbe probe = new RemergeProbe(checkpoint, store, strategy, memory, alignments);
    Manifest full = probe.full(MODEL);
    Manifest active = probe.remerge(usage(0, 0), Optional.empty(), full);
    double anew = median(time -> probe.remerge(usage(GROUPS, 100 + time), Optional.empty(), full));
    for (int changed : new int[] {0, 1, 4, GROUPS}) {
      List<Manifest> made = new ArrayList<>();
      double seconds =
          median(
              time -> {
                Manifest next = probe.remerge(usage(changed, 1 + time), Optional.empty(), active);
                made.add(next);
                return next;
              });
      String what = "%s, %d of %d groups changed".formatted(strategy, changed, GROUPS);
      figures.add(new Figure(what, seconds, "s", "nothing to begin from", OptionalDouble.of(anew)));
      figures.add(
          new Figure(
              what + ", written",
              RemergeProbe.added(made.get(0), active),
              "bytes",
              "the whole snapshot",
              OptionalDouble.of(made.get(0).bytes())));
    }
    return anew;
  }

  private void narrowing(double merged) throws IOException {
    RemergeProbe probe = new RemergeProbe(checkpoint, store, "smelt", 0.5, alignments);
    Manifest full = probe.full(MODEL);
    Map<String, BlockMoments> moments = moments();
    Function<MoeBlock, BlockMoments> known = block -> moments.get(block.name());
    figures.add(
        new Figure(
            "smelt, all of %d experts".formatted(EXPERTS),
            median(time -> probe.remerge(usage(0, 0), Optional.of(known), full)),
            "s",
            "m-smoe with nothing to begin from",
            OptionalDouble.of(merged)));
  }

  private interface Work {
    Manifest run(int time) throws IOException;
  }

  private static double median(Work work) throws IOException {
    double[] seconds = new double[TIMES];
    for (int time = 0; time < TIMES; time++) {
      long begun = System.nanoTime();
      work.run(time);
      seconds[time] = (System.nanoTime() - begun) / 1e9;
    }
    return Median.withDefaults().evaluate(seconds);
  }

  /**
   * Pairs of experts that fire together. In the first {@code changed} pairs of each layer they do
   * so less, by the seed, so that the more used one weighs more.
   */
  private Map<String, Usage> usage(int changed, int seed) {
    Map<String, Usage> usage = new HashMap<>();
    for (MoeBlock block : checkpoint.blocks()) {
      Accumulator accumulator = Usage.accumulator(EXPERTS, 2);
      for (int group = 0; group < GROUPS; group++) {
        int together = group < changed ? 200 - seed % 50 : 300;
        for (int token = 0; token < together; token++) {
          accumulator.add(new int[] {2 * group, 2 * group + 1}, 1);
        }
        for (int token = 0; token < 100; token++) {
          accumulator.add(new int[] {2 * group, 2 * ((group + 1) % GROUPS)}, 1);
        }
      }
      usage.put(block.name(), accumulator.build());
    }
    return usage;
  }

  private Map<String, BlockMoments> moments() {
    Random random = new Random(2);
    Map<String, BlockMoments> moments = new HashMap<>();
    for (MoeBlock block : checkpoint.blocks()) {
      moments.put(
          block.name(),
          new BlockMoments(
              block.name(),
              IntStream.range(0, EXPERTS)
                  .mapToObj(expert -> new ExpertMoments(2 * WIDTH, Optional.empty(), gram(random)))
                  .toList()));
    }
    return moments;
  }

  private static Matrix gram(Random random) {
    Matrix rows = new Matrix(2 * WIDTH, WIDTH, falling(random, 2 * WIDTH, WIDTH));
    Matrix gram = Matrix.zeros(WIDTH, WIDTH);
    Compute.cpu().addGram(1f, rows, gram);
    return gram;
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
    return Tensor.floats(
        name, DType.BF16, List.of((long) rows, (long) cols), falling(random, rows, cols));
  }

  /** Random values whose columns weigh less and less. */
  private static float[] falling(Random random, int rows, int cols) {
    float[] values = new float[rows * cols];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (random.nextGaussian() / Math.sqrt(1 + i % cols));
    }
    return values;
  }
}
