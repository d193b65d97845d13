package dev.smelt.agent.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.agent.bench.AlignBench;
import dev.smelt.agent.bench.FactorizeBench;
import dev.smelt.agent.bench.Figure;
import dev.smelt.agent.bench.MergeBench;
import dev.smelt.agent.bench.StoreBench;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Measures what the agent's work is made of. */
@Command(
    name = "bench",
    description = "Measures parts of the work, each beside its limit or peer in the same run.",
    subcommands = {BenchDriftCommand.class, BenchProxyCommand.class, BenchStreamCommand.class},
    mixinStandardHelpOptions = true)
final class BenchCommand implements Runnable {

  @Spec private CommandSpec spec;

  BenchCommand() {}

  @Override
  public void run() {
    spec.commandLine().usage(spec.commandLine().getOut());
  }

  @Command(name = "merge", description = "The weighted merge of bf16 experts, beside memory speed.")
  int merge(
      @Option(names = "--elements", defaultValue = "16777216", paramLabel = "N") int elements,
      @Option(names = "--json") boolean json) {
    return print(MergeBench.run(elements), json);
  }

  @Command(name = "align", description = "The linear assignment, beside SciPy's.")
  int align(
      @Option(names = "--size", split = ",", defaultValue = "1024,2048", paramLabel = "N")
          List<Integer> sizes,
      @Option(names = "--python", defaultValue = "/usr/bin/python3", paramLabel = "FILE")
          String python,
      @Option(names = "--json") boolean json)
      throws IOException {
    return print(AlignBench.run(sizes, python), json);
  }

  @Command(name = "factorize", description = "Whitened low rank, beside a full decomposition.")
  int factorize(
      @Option(names = "--rows", defaultValue = "768", paramLabel = "N") int rows,
      @Option(names = "--cols", defaultValue = "2048", paramLabel = "N") int cols,
      @Option(names = "--json") boolean json) {
    return print(FactorizeBench.run(rows, cols), json);
  }

  @Command(
      name = "store",
      description =
          "Publishing, downloads, ref moves, a re-merge and a sparse 100 GB checkpoint, beside cp,"
              + " sha256sum and nginx.")
  int store(
      @Option(names = "--megabytes", defaultValue = "512", paramLabel = "N") int megabytes,
      @Option(
              names = "--folder",
              defaultValue = ".",
              paramLabel = "DIR",
              description = "Where to work; its disk is measured. Default: here.")
          Path folder,
      @Option(names = "--json") boolean json)
      throws IOException, InterruptedException {
    return print(StoreBench.run(megabytes, folder), json);
  }

  private int print(List<Figure> figures, boolean json) {
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      ArrayNode array = JsonNodeFactory.instance.arrayNode();
      for (Figure figure : figures) {
        ObjectNode entry = array.addObject();
        entry.put("what", figure.what());
        entry.put("value", figure.value());
        entry.put("unit", figure.unit());
        entry.put("peer", figure.peer());
        figure.peerValue().ifPresent(value -> entry.put("peerValue", value));
      }
      out.println(array.toPrettyString());
    } else {
      for (Figure figure : figures) {
        out.printf(
            Locale.ROOT,
            "%-45s %10.4f %s   %s: %s%n",
            figure.what(),
            figure.value(),
            figure.unit(),
            figure.peer(),
            figure.peerValue().isPresent()
                ? String.format(
                    Locale.ROOT, "%.4f %s", figure.peerValue().getAsDouble(), figure.unit())
                : "not there");
      }
    }
    out.flush();
    return 0;
  }
}
