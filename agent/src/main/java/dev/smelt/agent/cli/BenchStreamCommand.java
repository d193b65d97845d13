package dev.smelt.agent.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.agent.broker.EmbeddedBroker;
import dev.smelt.store.files.Folders;
import dev.smelt.streams.benchmark.CombiningBenchmark;
import dev.smelt.streams.benchmark.Mode;
import dev.smelt.streams.benchmark.Model;
import dev.smelt.streams.benchmark.ScaleBenchmark;
import dev.smelt.streams.benchmark.ScaleBenchmark.Scale;
import dev.smelt.streams.benchmark.StreamsBenchmark;
import dev.smelt.streams.benchmark.StreamsBenchmark.Line;
import dev.smelt.streams.benchmark.StreamsBenchmark.Time;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** How fast routing is counted, beside a consumer that does nothing. */
@Command(
    name = "stream",
    description = {
      "Speed of the streams topology beside a bare consumer, and beside a topology that does nothing,"
          + " on the same records of an embedded broker; and the cost of combining at the tap.",
      "With --scale: the records of a fleet of engines are written first, about 8 GB of disk with"
          + " the defaults; one instance then counts them, and the result says how many times faster"
          + " than the fleet sends them, and whether every record and decision was counted once."
    },
    footer = {"  smelt bench stream --megabytes 20", "  smelt bench stream --scale"})
final class BenchStreamCommand implements Callable<Integer> {

  private static final long SEED = 7;
  private static final List<Integer> TOKENS_OF_RECORDS = List.of(256, 4_096, 65_536);
  private static final double BUSY_AT_MOST = 0.7;

  @Spec private CommandSpec spec;

  @Option(
      names = "--model",
      paramLabel = "NAME",
      description =
          "Only this shape: mixtral, qwen3-30b or deepseek-v3. All by default; deepseek-v3 with"
              + " --scale.")
  private String model = "";

  @Option(
      names = "--mode",
      paramLabel = "MODE",
      description = "Only records of this kind: ${COMPLETION-CANDIDATES}; both by default.")
  private Mode mode;

  @Option(
      names = "--megabytes",
      defaultValue = "1500",
      paramLabel = "N",
      description = "Records of each model and mode, in megabytes; ${DEFAULT-VALUE} by default.")
  private int megabytes;

  @Option(
      names = "--tokens",
      defaultValue = "4096",
      paramLabel = "N",
      description = "Tokens in a record; ${DEFAULT-VALUE} by default.")
  private int tokens;

  @Option(
      names = "--scale",
      description = "Measure whether one instance keeps up with a fleet of engines.")
  private boolean scale;

  @Option(
      names = "--replicas",
      defaultValue = "1000",
      paramLabel = "N",
      description = "Engines of the fleet; ${DEFAULT-VALUE} by default.")
  private int replicas;

  @Option(
      names = "--tokens-per-second",
      defaultValue = "10000",
      paramLabel = "N",
      description = "Tokens a second of each engine; ${DEFAULT-VALUE} by default.")
  private int tokensPerSecond;

  @Option(
      names = "--interval",
      defaultValue = "10",
      paramLabel = "SECONDS",
      description =
          "For how long each tap combines decisions before it sends; ${DEFAULT-VALUE} by default.")
  private int interval;

  @Option(
      names = "--intervals",
      defaultValue = "4",
      paramLabel = "N",
      description = "Intervals that the fleet sends for; ${DEFAULT-VALUE} by default.")
  private int intervals;

  @Mixin private ResultOutput result = new ResultOutput();

  BenchStreamCommand() {}

  @Override
  public Integer call() throws IOException, ExecutionException, InterruptedException {
    if (scale) {
      return scale() ? ExitCode.OK : ExitCode.SOFTWARE;
    }
    speed();
    return ExitCode.OK;
  }

  private void speed() throws IOException, ExecutionException, InterruptedException {
    ProgressLine progress = new ProgressLine(spec.commandLine().getErr(), "measuring");
    List<Model> models = models();
    List<Mode> modes = mode == null ? List.of(Mode.values()) : List.of(mode);
    ArrayNode array = JsonNodeFactory.instance.arrayNode();
    for (Model shape : models) {
      List<Double> combining = new ArrayList<>();
      for (int length : TOKENS_OF_RECORDS) {
        combining.add(CombiningBenchmark.nanosPerToken(shape, length, SEED));
      }
      for (Mode kind : modes) {
        Line line =
            onBroker(
                (servers, state) ->
                    new StreamsBenchmark(servers, state)
                        .measure(shape, kind, tokens, megabytes, SEED));
        put(array.addObject(), line, combining);
        result.printPart(
            out -> print(out, line, combining),
            () -> progress.show(array.size(), (long) models.size() * modes.size()));
      }
    }
    result.print(() -> array, out -> {});
  }

  /** True if every record and decision was counted once. */
  private boolean scale() throws IOException, ExecutionException, InterruptedException {
    Model shape = model.isEmpty() ? Model.ALL.get(Model.ALL.size() - 1) : models().get(0);
    Scale measured =
        onBroker(
            (servers, state) ->
                new ScaleBenchmark(servers, state)
                    .measure(
                        shape,
                        replicas,
                        tokensPerSecond,
                        Duration.ofSeconds(interval),
                        intervals,
                        SEED));
    result.print(() -> json(measured), out -> print(out, measured));
    return measured.complete();
  }

  private List<Model> models() {
    List<Model> chosen =
        Model.ALL.stream().filter(one -> model.isEmpty() || one.name().equals(model)).toList();
    if (chosen.isEmpty()) {
      throw new ParameterException(
          spec.commandLine(),
          "--model "
              + model
              + ": no such shape; there are "
              + String.join(", ", Model.ALL.stream().map(Model::name).toList()));
    }
    return chosen;
  }

  /** A measurement on a broker of its own. */
  private interface Measurement<T> {
    T on(String bootstrapServers, String stateFolder)
        throws ExecutionException, InterruptedException;
  }

  private static <T> T onBroker(Measurement<T> measurement)
      throws IOException, ExecutionException, InterruptedException {
    Path folder = Files.createTempDirectory("smelt-bench");
    try (EmbeddedBroker broker = EmbeddedBroker.start(folder.resolve("kafka"))) {
      return measurement.on(broker.bootstrapServers(), folder.resolve("state").toString());
    } finally {
      Folders.delete(folder);
    }
  }

  private static void print(PrintWriter out, Line line, List<Double> combining) {
    out.printf(
        Locale.ROOT,
        "%s %s: %,d records of %,d tokens, %,d bytes, from %d engines; %d layer windows closed%n",
        line.model().name(),
        name(line.mode()),
        line.records(),
        line.tokens(),
        line.bytes() / line.records(),
        line.engines(),
        line.windows());
    print(out, "consumer that does nothing", line.records(), line.consumer());
    print(out, "topology that does nothing", line.records(), line.idleTopology());
    print(out, "this topology", line.records(), line.topology());
    out.printf(
        Locale.ROOT,
        "  %.2f of the consumer (%.2f of its processor time), %.2f of the topology that does"
            + " nothing; %,.0f million decisions/s of a processor%n",
        line.relativeSpeed(),
        line.relativeProcessorSpeed(),
        line.relativeToIdleTopology(),
        line.decisionsPerSecond() / 1e6);
    out.printf(
        Locale.ROOT,
        "  a layer: state %.1f KB, changelogs %.1f KB; the second half of the stream costs %.2f of"
            + " the first%n",
        line.stateBytesPerLayer() / 1e3,
        line.changelogBytes() / 1e3 / line.model().layers(),
        line.ageing());
    out.print("  combining at the tap, ns a token of all layers:");
    for (int i = 0; i < combining.size(); i++) {
      out.printf(
          Locale.ROOT,
          "%s %,.0f with %,d tokens a record",
          i == 0 ? "" : ",",
          combining.get(i),
          TOKENS_OF_RECORDS.get(i));
    }
    out.println();
    out.flush();
  }

  private static void print(PrintWriter out, String what, long records, Time time) {
    out.printf(
        Locale.ROOT,
        "  %-27s %,12.0f records/s, %8.2f us of a processor each%n",
        what,
        records / time.clockSeconds(),
        time.processorSeconds() / records * 1e6);
  }

  private static void print(PrintWriter out, Scale result) {
    out.printf(
        Locale.ROOT,
        "%,d engines of %s, one record a layer each %d s: %,.0f records/s, %,.0f MB/s%n",
        result.replicas(),
        result.model().name(),
        result.interval().toSeconds(),
        result.fleetRate(),
        result.bytes() / 1e6 / result.records() * result.fleetRate());
    out.printf(
        Locale.ROOT,
        "  wrote %,d records (%.1f GB on disk) in %.1f s; one instance counted them in %.1f s:"
            + " %,.0f records/s, %.1f times what the fleet sends%n",
        result.records(),
        result.bytesOnDisk() / 1e9,
        result.sendSeconds(),
        result.countSeconds(),
        result.rate(),
        result.timesFleetRate());
    out.printf(
        Locale.ROOT,
        "  the windows hold %,d of %,d records and %,d of %,d decisions: %s; the last one could be"
            + " read %.2f s after its last record was counted%n",
        result.countedRecords(),
        result.records(),
        result.countedDecisions(),
        result.decisions(),
        result.complete() ? "complete" : "NOT complete",
        result.lagSeconds());
    out.printf(
        Locale.ROOT,
        "  %.1f us of a processor each: the fleet keeps %.2f processors busy; instances needed, of"
            + " two threads that are busy %.0f %% at most: %d; up to %d partitions%n",
        result.processorSeconds() / result.records() * 1e6,
        result.processors(),
        100 * BUSY_AT_MOST,
        instances(result),
        result.model().layers());
  }

  private static long instances(Scale result) {
    return (long) Math.ceil(result.processors() / 2 / BUSY_AT_MOST);
  }

  private static ObjectNode json(Scale result) {
    ObjectNode entry = JsonNodeFactory.instance.objectNode();
    entry.put("model", result.model().name());
    entry.put("replicas", result.replicas());
    entry.put("intervalSeconds", result.interval().toSeconds());
    entry.put("recordsPerSecond", result.fleetRate());
    entry.put("records", result.records());
    entry.put("bytes", result.bytes());
    entry.put("sendSeconds", result.sendSeconds());
    entry.put("bytesOnDisk", result.bytesOnDisk());
    entry.put("countSeconds", result.countSeconds());
    entry.put("countedPerSecond", result.rate());
    entry.put("timesFleetRate", result.timesFleetRate());
    entry.put("lagSeconds", result.lagSeconds());
    entry.put("decisions", result.decisions());
    entry.put("countedRecords", result.countedRecords());
    entry.put("countedDecisions", result.countedDecisions());
    entry.put("processorSeconds", result.processorSeconds());
    entry.put("processors", result.processors());
    entry.put("instances", instances(result));
    entry.put("partitions", result.model().layers());
    return entry;
  }

  private static void put(ObjectNode entry, Line line, List<Double> combining) {
    entry.put("model", line.model().name());
    entry.put("mode", name(line.mode()));
    entry.put("tokens", line.tokens());
    entry.put("engines", line.engines());
    entry.put("records", line.records());
    entry.put("decisions", line.decisions());
    entry.put("bytes", line.bytes());
    put(entry, "consumer", line.consumer());
    put(entry, "idleTopology", line.idleTopology());
    put(entry, "topology", line.topology());
    entry.put("relativeSpeed", line.relativeSpeed());
    entry.put("relativeProcessorSpeed", line.relativeProcessorSpeed());
    entry.put("relativeToIdleTopology", line.relativeToIdleTopology());
    entry.put("decisionsPerSecond", line.decisionsPerSecond());
    entry.put("ageing", line.ageing());
    entry.put("windows", line.windows());
    entry.put("changelogBytes", line.changelogBytes());
    entry.put("stateBytesPerLayer", line.stateBytesPerLayer());
    ObjectNode nanos = entry.putObject("combiningNanosPerToken");
    for (int i = 0; i < combining.size(); i++) {
      nanos.put(TOKENS_OF_RECORDS.get(i).toString(), combining.get(i));
    }
  }

  private static void put(ObjectNode entry, String what, Time time) {
    entry.put(what + "Seconds", time.clockSeconds());
    entry.put(what + "ProcessorSeconds", time.processorSeconds());
  }

  private static String name(Mode mode) {
    return mode.name().toLowerCase(Locale.ROOT);
  }
}
