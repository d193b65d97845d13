package dev.smelt.agent.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.streams.benchmark.DriftBenchmark;
import dev.smelt.streams.benchmark.DriftBenchmark.Delays;
import dev.smelt.streams.benchmark.DriftBenchmark.Extent;
import dev.smelt.streams.benchmark.DriftBenchmark.Line;
import dev.smelt.streams.benchmark.DriftBenchmark.Rule;
import dev.smelt.streams.drift.DriftSettings;
import java.io.PrintWriter;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** How often drift is seen where there is none, and how soon where there is. */
@Command(
    name = "drift",
    description =
        "False alarms of drift per 1,000 windows, and windows until a shift is seen, beside two rules"
            + " of thumb on the same traffic.",
    footer = {"  smelt bench drift", "  smelt bench drift --streams 4 --windows 60 --trials 3"})
final class BenchDriftCommand implements Callable<Integer> {

  @Option(
      names = "--streams",
      defaultValue = "40",
      paramLabel = "N",
      description = "Streams without drift at 10,000 tokens a window; ${DEFAULT-VALUE} by default.")
  private int streams;

  @Option(
      names = "--windows",
      defaultValue = "250",
      paramLabel = "N",
      description = "Windows in each stream; ${DEFAULT-VALUE} by default.")
  private int windows;

  @Option(
      names = "--trials",
      defaultValue = "21",
      paramLabel = "N",
      description = "Shifts of each size; ${DEFAULT-VALUE} by default.")
  private int trials;

  @Option(
      names = "--seed",
      defaultValue = "20260301",
      paramLabel = "N",
      description = "The same seed gives the same figures; ${DEFAULT-VALUE} by default.")
  private long seed;

  @Mixin private ResultOutput result = new ResultOutput();

  @Spec private CommandSpec spec;

  private int done;

  BenchDriftCommand() {}

  @Override
  public Integer call() {
    ProgressLine progress = new ProgressLine(spec.commandLine().getErr(), "measuring");
    Extent extent = new Extent(streams, windows, trials, Extent.FULL.patience(), seed);
    List<Line> lines =
        new DriftBenchmark(DriftSettings.DEFAULT, extent)
            .run(
                line ->
                    result.printPart(
                        out -> print(out, line),
                        () -> progress.show(++done, DriftBenchmark.LINES)));
    result.print(() -> json(lines), out -> {});
    return 0;
  }

  private static ArrayNode json(List<Line> lines) {
    ArrayNode array = JsonNodeFactory.instance.arrayNode();
    lines.forEach(line -> put(array.addObject(), line));
    return array;
  }

  private static void print(PrintWriter out, Line line) {
    out.printf(
        Locale.ROOT,
        "%d layers, %d experts, %d tokens a window, requests of %d windows: %d windows without drift%n",
        line.layers(),
        line.shape().experts(),
        line.shape().tokensPerWindow(),
        line.shape().windowsPerRequest(),
        line.falseAlarms().windows());
    for (Rule rule : Rule.values()) {
      out.printf(
          Locale.ROOT,
          "  %-16s %7.2f false alarms per 1,000 windows%s%n",
          name(rule),
          line.falseAlarms().perThousand(rule),
          delays(line, rule));
    }
    out.flush();
  }

  private static String delays(Line line, Rule rule) {
    StringBuilder text = new StringBuilder();
    for (Delays delays : line.delays()) {
      text.append(
          String.format(
              Locale.ROOT,
              "; shift of %.0f %%: %s",
              100 * delays.shift(),
              windows(delays.median(rule))));
    }
    return text.toString();
  }

  private static String windows(int delay) {
    return delay == Integer.MAX_VALUE ? "missed" : Integer.toString(delay);
  }

  private static void put(ObjectNode entry, Line line) {
    entry.put("layers", line.layers());
    entry.put("experts", line.shape().experts());
    entry.put("tokensPerWindow", line.shape().tokensPerWindow());
    entry.put("windowsPerRequest", line.shape().windowsPerRequest());
    entry.put("windows", line.falseAlarms().windows());
    ObjectNode alarms = entry.putObject("falseAlarmsPerThousand");
    ArrayNode shifts = entry.putArray("delays");
    for (Rule rule : Rule.values()) {
      alarms.put(name(rule), line.falseAlarms().perThousand(rule));
      for (Delays delays : line.delays()) {
        ObjectNode delay = shifts.addObject();
        delay.put("rule", name(rule));
        delay.put("shift", delays.shift());
        delay.put("missed", delays.missed(rule));
        if (delays.median(rule) != Integer.MAX_VALUE) {
          delay.put("medianWindows", delays.median(rule));
        }
      }
    }
  }

  private static String name(Rule rule) {
    return switch (rule) {
      case SMELT -> "smelt";
      case JENSEN_SHANNON -> "js >= 0.1";
      case STABILITY_INDEX -> "psi >= 0.2";
    };
  }
}
