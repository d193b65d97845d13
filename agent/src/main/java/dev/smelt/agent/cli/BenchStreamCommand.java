package dev.smelt.agent.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.agent.broker.EmbeddedBroker;
import dev.smelt.streams.benchmark.StreamsBenchmark;
import dev.smelt.streams.benchmark.StreamsBenchmark.Line;
import dev.smelt.streams.benchmark.StreamsBenchmark.Mode;
import dev.smelt.streams.benchmark.StreamsBenchmark.Model;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** How fast routing is counted, beside a consumer that does nothing. */
@Command(
    name = "stream",
    description =
        "Speed of the streams topology beside a bare consumer on the same records, on an embedded"
            + " broker, and the cost of combining at the tap.",
    footer = {"  smelt bench stream --megabytes 20"})
final class BenchStreamCommand implements Callable<Integer> {

  private static final long SEED = 7;

  @Option(
      names = "--megabytes",
      defaultValue = "100",
      paramLabel = "N",
      description = "Records of each model and mode, in megabytes; ${DEFAULT-VALUE} by default.")
  private int megabytes;

  @Mixin private ResultOutput result = new ResultOutput();

  BenchStreamCommand() {}

  @Override
  public Integer call() throws IOException, ExecutionException, InterruptedException {
    ArrayNode array = JsonNodeFactory.instance.arrayNode();
    for (Model model : Model.ALL) {
      double combining = StreamsBenchmark.combiningNanosPerToken(model, SEED);
      for (Mode mode : Mode.values()) {
        Line line = measure(model, mode);
        put(array.addObject(), line, combining);
        result.printPart(out -> print(out, line, combining));
      }
    }
    result.print(() -> array, out -> {});
    return 0;
  }

  private Line measure(Model model, Mode mode)
      throws IOException, ExecutionException, InterruptedException {
    Path folder = Files.createTempDirectory("smelt-bench");
    try (EmbeddedBroker broker = EmbeddedBroker.start(folder.resolve("kafka"))) {
      return new StreamsBenchmark(broker.bootstrapServers(), folder.resolve("state").toString())
          .measure(model, mode, megabytes, SEED);
    } finally {
      delete(folder);
    }
  }

  private static void delete(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(file);
      }
    }
  }

  private static void print(PrintWriter out, Line line, double combining) {
    out.printf(
        Locale.ROOT,
        "%-12s %-8s %7d records: %.2f of a bare consumer, %.0f records/s, %.0f million decisions/s of"
            + " one processor; state %d KB a layer, changelog %.1f MB; combining %.0f ns a token%n",
        line.model().name(),
        name(line.mode()),
        line.records(),
        line.relativeSpeed(),
        line.records() / line.topology().processorSeconds(),
        line.decisionsPerSecond() / 1e6,
        line.stateBytesPerLayer() / 1000,
        line.changelogBytes() / 1e6,
        combining);
  }

  private static void put(ObjectNode entry, Line line, double combining) {
    entry.put("model", line.model().name());
    entry.put("mode", name(line.mode()));
    entry.put("records", line.records());
    entry.put("decisions", line.decisions());
    entry.put("bytes", line.bytes());
    entry.put("consumerSeconds", line.consumer().clockSeconds());
    entry.put("consumerProcessorSeconds", line.consumer().processorSeconds());
    entry.put("topologySeconds", line.topology().clockSeconds());
    entry.put("topologyProcessorSeconds", line.topology().processorSeconds());
    entry.put("relativeSpeed", line.relativeSpeed());
    entry.put("decisionsPerSecond", line.decisionsPerSecond());
    entry.put("changelogBytes", line.changelogBytes());
    entry.put("stateBytesPerLayer", line.stateBytesPerLayer());
    entry.put("combiningNanosPerToken", combining);
  }

  private static String name(Mode mode) {
    return mode.name().toLowerCase(Locale.ROOT);
  }
}
