package dev.smelt.agent.bench;

import dev.smelt.agent.control.RemergeProbe;
import dev.smelt.agent.inference.MoeModel;
import dev.smelt.agent.inference.RoutingTraceWriter;
import dev.smelt.agent.merge.AlignmentCache;
import dev.smelt.agent.statistics.RoutingTrace;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.files.Folders;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.SnapshotStore;
import dev.smelt.streams.usage.Usage;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.stream.Stream;

/**
 * A re-merge of a checkpoint as the control loop does it, from usage to a published snapshot: from
 * nothing, with the alignments known, and after the traffic has moved a little, when only the
 * groups that changed are made again.
 */
public final class CheckpointRemergeBench {

  private static final String MODEL = "bench";
  private static final double MEMORY_SHARE = 0.5;
  private static final int TEXT_BYTES = 16_384;
  private static final int LITTLE_BYTES = 1024;
  private static final double WHOLE_SECONDS = 2;
  private static final double INCREMENTAL_SECONDS = 0.3;

  private CheckpointRemergeBench() {}

  /**
   * @param directory a checkpoint that the reference runtime can run
   * @param traffic a folder of texts: the first half of them is the old traffic; then a little of
   *     the next one is added, then the other half
   */
  public static List<Figure> run(Path directory, Path traffic) throws IOException {
    Path folder = Files.createTempDirectory("remerge");
    try (Checkpoint checkpoint = Checkpoint.open(directory);
        SnapshotStore store = SnapshotStore.open(folder.resolve("store"), Clock.systemUTC())) {
      List<byte[]> texts = texts(traffic);
      List<byte[]> old = texts.subList(0, texts.size() / 2);
      List<byte[]> other = texts.subList(texts.size() / 2, texts.size());
      MoeModel model = MoeModel.load(directory);
      Map<String, Usage> before = usage(checkpoint, model, old, folder);

      RemergeProbe known = probe(checkpoint, store);
      Manifest full = known.full(MODEL);
      Manifest active = known.remerge(before, Optional.empty(), full);
      List<Figure> figures = new ArrayList<>();
      figures.add(
          against(
              WHOLE_SECONDS,
              "whole re-merge, nothing known",
              () -> probe(checkpoint, store).remerge(before, Optional.empty(), full)));
      figures.add(
          against(
              WHOLE_SECONDS,
              "  the same, alignments known",
              () -> known.remerge(before, Optional.empty(), full)));
      Map<String, List<byte[]>> added = new LinkedHashMap<>();
      added.put("a little other traffic", List.of(Arrays.copyOf(other.get(0), LITTLE_BYTES)));
      added.put("half of the traffic another", other);
      for (Map.Entry<String, List<byte[]>> entry : added.entrySet()) {
        Map<String, Usage> after =
            usage(
                checkpoint,
                model,
                Stream.concat(old.stream(), entry.getValue().stream()).toList(),
                folder);
        figures.add(
            against(
                INCREMENTAL_SECONDS,
                "incremental re-merge, " + entry.getKey(),
                () -> known.remerge(after, Optional.empty(), active)));
        Manifest next = known.remerge(after, Optional.empty(), active);
        figures.add(
            new Figure(
                "  its new tensors",
                RemergeProbe.added(next, active),
                "bytes",
                "the whole snapshot",
                OptionalDouble.of(next.bytes())));
      }
      return figures;
    } finally {
      Folders.delete(folder);
    }
  }

  private static RemergeProbe probe(Checkpoint checkpoint, SnapshotStore store) {
    return new RemergeProbe(checkpoint, store, "m-smoe", MEMORY_SHARE, AlignmentCache.inMemory());
  }

  private interface Work {
    void run() throws IOException;
  }

  private static Figure against(double limit, String what, Work work) {
    double seconds =
        Timing.fastest(
            () -> {
              try {
                work.run();
              } catch (IOException failed) {
                throw new UncheckedIOException(failed);
              }
            });
    return new Figure(what, seconds, "s", "target", OptionalDouble.of(limit));
  }

  private static Map<String, Usage> usage(
      Checkpoint checkpoint, MoeModel model, List<byte[]> texts, Path folder) {
    Path trace = folder.resolve("trace.routing.safetensors");
    RoutingTraceWriter.write(model, checkpoint.name(), texts, trace, (done, all) -> {});
    return RoutingTrace.read(checkpoint.blocks(), List.of(trace));
  }

  private static List<byte[]> texts(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      List<Path> sorted = files.filter(file -> file.toString().endsWith(".txt")).sorted().toList();
      if (sorted.size() < 2) {
        throw new IOException(folder + ": the benchmark needs two texts (*.txt) at least");
      }
      return sorted.stream().map(CheckpointRemergeBench::beginning).toList();
    }
  }

  private static byte[] beginning(Path file) {
    try {
      byte[] text = Files.readAllBytes(file);
      return Arrays.copyOf(text, Math.min(text.length, TEXT_BYTES));
    } catch (IOException failed) {
      throw new UncheckedIOException(failed);
    }
  }
}
