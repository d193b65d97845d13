package dev.smelt.agent.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.agent.bench.AlignBench;
import dev.smelt.agent.bench.CheckpointRemergeBench;
import dev.smelt.agent.bench.CompressBench;
import dev.smelt.agent.bench.FactorizeBench;
import dev.smelt.agent.bench.Figure;
import dev.smelt.agent.bench.MergeBench;
import dev.smelt.agent.bench.RemergeBench;
import dev.smelt.agent.bench.StoreBench;
import dev.smelt.agent.merge.Alignment;
import dev.smelt.agent.plan.Strategy;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.files.Folders;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Measures what the agent's work is made of. */
@Command(
    name = "bench",
    description = "Measures parts of the work, each beside its limit or peer in the same run.",
    subcommands = {
      BenchDriftCommand.class,
      BenchProxyCommand.class,
      BenchSimulateCommand.class,
      BenchStreamCommand.class
    },
    footer = {"  smelt bench merge", "  smelt bench store --folder /mnt/models --json"})
final class BenchCommand implements Runnable {

  @Spec private CommandSpec spec;

  BenchCommand() {}

  @Override
  public void run() {
    spec.commandLine().usage(spec.commandLine().getOut());
  }

  @Command(
      name = "merge",
      description = "The weighted merge of bf16 experts, beside memory speed.",
      footer = {"  smelt bench merge --elements 4194304"})
  int merge(
      @Option(
              names = "--elements",
              defaultValue = "16777216",
              paramLabel = "N",
              description = "Elements of each expert; default: ${DEFAULT-VALUE}.")
          int elements,
      @Mixin ResultOutput result)
      throws IOException {
    return print(MergeBench.run(elements), result);
  }

  @Command(
      name = "compress",
      description =
          "Time and memory to compress a generated checkpoint, which is deleted afterwards, beside"
              + " two layers and a gigabyte; and what a kill half-way costs.",
      footer = {"  smelt bench compress --gigabytes 13 --folder /mnt/models"})
  int compress(
      @Option(
              names = "--gigabytes",
              defaultValue = "13",
              paramLabel = "N",
              description = "Size of the checkpoint, at least; default: ${DEFAULT-VALUE}.")
          int gigabytes,
      @Option(
              names = "--strategy",
              defaultValue = "m-smoe",
              paramLabel = "NAME",
              description = "m-smoe or mc-smoe; default: ${DEFAULT-VALUE}.")
          String strategy,
      @Option(
              names = "--align",
              defaultValue = "dominant",
              paramLabel = "NAME",
              description = "As in smelt compress; default: ${DEFAULT-VALUE}.")
          String align,
      @Option(
              names = "--folder",
              defaultValue = ".",
              paramLabel = "DIR",
              description = "Where there is room for three times that. Default: here.")
          Path folder,
      @Mixin ResultOutput result)
      throws IOException, InterruptedException {
    PrintWriter err = spec.commandLine().getErr();
    CompressBench.Method method =
        new CompressBench.Method(Strategy.named(strategy), Alignment.named(align));
    return print(
        CompressBench.run(
            gigabytes,
            method,
            folder,
            stage -> {
              err.println(stage);
              err.flush();
            },
            layers ->
                new CompressionProgress(
                    new ProgressLine(err, "compressing"), layers, method.reduction().passes())),
        result);
  }

  @Command(
      name = "align",
      description = "The linear assignment, beside SciPy's.",
      footer = {"  smelt bench align --size 512"})
  int align(
      @Option(
              names = "--size",
              split = ",",
              defaultValue = "1024,2048,4096",
              paramLabel = "N",
              description = "Neurons that are matched; default: ${DEFAULT-VALUE}.")
          List<Integer> sizes,
      @Option(
              names = "--python",
              defaultValue = "/usr/bin/python3",
              paramLabel = "FILE",
              description = "A Python that has SciPy; default: ${DEFAULT-VALUE}.")
          String python,
      @Option(
              names = "--checkpoint",
              defaultValue = "tests/fixtures/byte-moe",
              paramLabel = "DIR",
              description = "Whose experts are aligned; default: ${DEFAULT-VALUE}.")
          Path checkpoint,
      @Mixin ResultOutput result)
      throws IOException {
    try (Checkpoint opened = Checkpoint.open(checkpoint)) {
      return print(AlignBench.run(sizes, opened, python), result);
    }
  }

  @Command(
      name = "factorize",
      description = "Whitened low rank, beside a full decomposition.",
      footer = {"  smelt bench factorize --rows 768 --cols 2048"})
  int factorize(
      @Option(
              names = "--rows",
              defaultValue = "768",
              paramLabel = "N",
              description = "Rows of the matrix; default: ${DEFAULT-VALUE}.")
          int rows,
      @Option(
              names = "--cols",
              defaultValue = "2048",
              paramLabel = "N",
              description = "Columns of the matrix; default: ${DEFAULT-VALUE}.")
          int cols,
      @Mixin ResultOutput result) {
    return print(FactorizeBench.run(rows, cols), result);
  }

  @Command(
      name = "remerge",
      description =
          "A checkpoint's re-merge from usage to a published snapshot, whole and incremental; then"
              + " re-merges of a generated one in which 0, 1, 4 and all of 16 groups of each layer"
              + " change, beside one that has nothing to begin from.",
      footer = {"  smelt bench remerge --folder /tmp"})
  int remerge(
      @Option(
              names = "--checkpoint",
              defaultValue = "tests/fixtures/byte-moe",
              paramLabel = "DIR",
              description = "The model's folder; default: ${DEFAULT-VALUE}.")
          Path checkpoint,
      @Option(
              names = "--traffic",
              defaultValue = "tests/fixtures/byte-moe/heldout",
              paramLabel = "DIR",
              description = "A folder of texts (*.txt); default: ${DEFAULT-VALUE}.")
          Path traffic,
      @Option(
              names = "--folder",
              defaultValue = ".",
              paramLabel = "DIR",
              description = "Where to work; 160 MB are written and removed. Default: here.")
          Path folder,
      @Mixin ResultOutput result)
      throws IOException {
    Path work = Files.createTempDirectory(folder, "smelt-bench-");
    try {
      List<Figure> figures = new ArrayList<>(CheckpointRemergeBench.run(checkpoint, traffic));
      figures.addAll(RemergeBench.run(work));
      return print(figures, result);
    } finally {
      Folders.delete(work);
    }
  }

  @Command(
      name = "store",
      description =
          "Publishing, downloads, ref moves, a re-merge and a sparse 100 GB checkpoint, beside cp,"
              + " sha256sum and nginx.",
      footer = {"  smelt bench store --megabytes 64 --folder /mnt/models"})
  int store(
      @Option(
              names = "--megabytes",
              defaultValue = "512",
              paramLabel = "N",
              description = "Size of the snapshot that is published; default: ${DEFAULT-VALUE}.")
          int megabytes,
      @Option(
              names = "--folder",
              defaultValue = ".",
              paramLabel = "DIR",
              description = "Where to work; its disk is measured. Default: here.")
          Path folder,
      @Mixin ResultOutput result)
      throws IOException, InterruptedException {
    return print(StoreBench.run(megabytes, folder), result);
  }

  private static int print(List<Figure> figures, ResultOutput result) {
    result.print(() -> json(figures), out -> figures.forEach(figure -> print(out, figure)));
    return 0;
  }

  private static ArrayNode json(List<Figure> figures) {
    ArrayNode array = JsonNodeFactory.instance.arrayNode();
    for (Figure figure : figures) {
      ObjectNode entry = array.addObject();
      entry.put("what", figure.what());
      entry.put("value", figure.value());
      entry.put("unit", figure.unit());
      entry.put("peer", figure.peer());
      figure.peerValue().ifPresent(value -> entry.put("peerValue", value));
    }
    return array;
  }

  private static void print(PrintWriter out, Figure figure) {
    out.printf(
        Locale.ROOT,
        "%-45s %10.4f %s   %s: %s%n",
        figure.what(),
        figure.value(),
        figure.unit(),
        figure.peer(),
        figure.peerValue().isPresent()
            ? String.format(Locale.ROOT, "%.4f %s", figure.peerValue().getAsDouble(), figure.unit())
            : "not there");
  }
}
