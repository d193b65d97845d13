package dev.smelt.agent.bench;

import dev.smelt.agent.compress.CompressOptions;
import dev.smelt.agent.compress.Compressor;
import dev.smelt.agent.compress.Factoring;
import dev.smelt.agent.compress.LayerFiles;
import dev.smelt.agent.compress.Progress;
import dev.smelt.agent.compress.Reduction;
import dev.smelt.agent.compress.Whole;
import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.merge.Alignment;
import dev.smelt.agent.merge.AlignmentCache;
import dev.smelt.agent.plan.Budget;
import dev.smelt.agent.plan.Plan;
import dev.smelt.agent.plan.PlanOptions;
import dev.smelt.agent.plan.Planner;
import dev.smelt.agent.plan.Similarity;
import dev.smelt.agent.plan.Strategy;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.export.Exporter;
import dev.smelt.store.files.Folders;
import dev.smelt.streams.usage.Usage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.Random;
import java.util.function.Consumer;
import java.util.function.IntFunction;

/**
 * The compression of a checkpoint of any size, from mapped shards to a folder in the compact form,
 * and the memory that it takes: beside two layers and a gigabyte.
 */
public final class CompressBench {

  private static final int EXPERTS = 64;
  private static final int HIDDEN = 2048;
  private static final int WIDTH = 1024;
  private static final int TOKENS = 2000;
  private static final double GIGABYTE = 1e9;

  private CompressBench() {}

  /**
   * What is measured, of what needs no traffic.
   *
   * @param strategy {@code m-smoe}, or {@code mc-smoe} to a rank of three eighths
   */
  public record Method(Strategy strategy, Alignment alignment) {

    public Method {
      if (strategy != Strategy.M_SMOE && strategy != Strategy.MC_SMOE) {
        throw new IllegalArgumentException(
            strategy + ": only m-smoe and mc-smoe can be measured without traffic");
      }
    }

    /** How merged experts are stored. */
    public Reduction reduction() {
      return strategy == Strategy.M_SMOE ? new Whole() : new Factoring(0.375, 0.125);
    }
  }

  /**
   * Generates a checkpoint, compresses it to half of its experts, once more with a kill half-way,
   * and deletes everything.
   *
   * @param gigabytes of the checkpoint, at least
   * @param folder where there is room for two and a half of it
   * @param stage is told what begins, in words
   * @param progress for a number of layers, asked for when the compression begins
   */
  public static List<Figure> run(
      int gigabytes,
      Method method,
      Path folder,
      Consumer<String> stage,
      IntFunction<Progress> progress)
      throws IOException, InterruptedException {
    Path work = Files.createTempDirectory(folder, "smelt-bench");
    try {
      long layer = new GeneratedCheckpoint(1, EXPERTS, HIDDEN, WIDTH).layerBytes();
      int layers = (int) Math.max(1, Math.ceil(gigabytes * GIGABYTE / layer));
      double read = (double) layers * layer / GIGABYTE;
      stage.accept("generating %.1f GB".formatted(read));
      Path source = Files.createDirectory(work.resolve("source"));
      new GeneratedCheckpoint(layers, EXPERTS, HIDDEN, WIDTH).write(source);
      Path whole = Files.createDirectory(work.resolve("whole"));
      long began = System.nanoTime();
      MemoryWatch.Peaks peaks;
      try (MemoryWatch watch = MemoryWatch.start()) {
        compress(source, method, whole, progress.apply(layers));
        peaks = watch.peaks();
      }
      double seconds = (System.nanoTime() - began) / 1e9;
      double limit = 2 * layer / GIGABYTE + 1;
      Folders.delete(layers(whole));
      stage.accept("once more, killed half-way");
      KilledCompression.Resumed resumed =
          KilledCompression.run(source, method, layers / 2, work.resolve("killed"));
      return List.of(
          new Figure(
              "compression of %.1f GB by %s, aligned to %s"
                  .formatted(read, method.strategy(), method.alignment()),
              seconds,
              "s",
              "target",
              OptionalDouble.empty()),
          new Figure(
              "experts read and half as many written",
              read / seconds,
              "GB/s",
              "target",
              OptionalDouble.empty()),
          new Figure(
              "peak heap",
              peaks.heap() / GIGABYTE,
              "GB",
              "2 layers + 1 GB",
              OptionalDouble.of(limit)),
          new Figure(
              "peak resident memory without mapped files",
              peaks.anonymous() / GIGABYTE,
              "GB",
              "2 layers + 1 GB",
              OptionalDouble.of(limit)),
          new Figure(
              "peak resident memory with the cached pages of mapped files",
              peaks.resident() / GIGABYTE,
              "GB",
              "the checkpoint",
              OptionalDouble.of(read)),
          new Figure(
              "layers kept by a process after kill -9 of the one before",
              resumed.kept(),
              "layers",
              "finished when it was killed",
              OptionalDouble.of(resumed.finished())),
          new Figure(
              "files that differ from those of the run without a kill",
              KilledCompression.differing(compact(whole), compact(work.resolve("killed"))),
              "files",
              "target",
              OptionalDouble.of(0)),
          new Figure(
              "time for the rest of it",
              resumed.seconds(),
              "s",
              "all",
              OptionalDouble.of(seconds)));
    } finally {
      Folders.delete(work);
    }
  }

  static Path layers(Path work) {
    return work.resolve("layers");
  }

  private static Path compact(Path work) {
    return work.resolve("compact");
  }

  static void compress(Path source, Method method, Path work, Progress progress)
      throws IOException {
    try (Checkpoint checkpoint = Checkpoint.open(source);
        LayerFiles layers = LayerFiles.open(layers(work), checkpoint.digest())) {
      Plan plan =
          Planner.plan(
              checkpoint,
              usage(checkpoint),
              new PlanOptions(
                  method.strategy(), Similarity.ROUTER_WEIGHT, Budget.EXACT, EXPERTS / 2.0));
      new Compressor(Compute.cpu())
          .compress(
              checkpoint,
              plan,
              new CompressOptions(
                  method.alignment(), AlignmentCache.inMemory(), method.reduction()),
              layers,
              progress);
      Exporter.compact(layers, Map.of(), checkpoint, compact(work));
    }
  }

  private static Map<String, Usage> usage(Checkpoint checkpoint) {
    Random random = new Random(3);
    Map<String, Usage> usage = new HashMap<>();
    for (MoeBlock block : checkpoint.blocks()) {
      var counted = Usage.accumulator(block.experts(), block.topK());
      for (int token = 0; token < TOKENS; token++) {
        counted.add(random.ints(0, block.experts()).distinct().limit(block.topK()).toArray(), 1);
      }
      usage.put(block.name(), counted.build());
    }
    return usage;
  }
}
