package dev.smelt.agent.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.datatype.jsr310.JavaTimeModule;
import dev.smelt.agent.simulation.Figures;
import dev.smelt.agent.simulation.Simulation;
import dev.smelt.agent.simulation.Way;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** A year of the control loop in minutes. */
@Command(
    name = "simulate",
    description = {
      "The control loop in a year of simulated traffic with days, weeks, trends, shifts, noise and"
          + " outages, beside re-merging at fixed intervals and never.",
      "The loop, the routing of the requests and every re-merge are real, on a byte-level checkpoint,"
          + " and what each snapshot loses is measured."
    },
    footer = {
      "  smelt bench simulate --checkpoint tests/fixtures/byte-moe --texts tests/fixtures/byte-moe/heldout",
      "  smelt bench simulate --checkpoint DIR --texts DIR --days 30 --every 1,7",
      "  smelt bench simulate --checkpoint DIR --texts DIR --stationary"
    })
final class BenchSimulateCommand implements Callable<Integer> {

  @Option(
      names = "--checkpoint",
      required = true,
      paramLabel = "DIR",
      description = "The folder of a byte-level model.")
  private Path checkpoint;

  @Option(
      names = "--texts",
      required = true,
      paramLabel = "DIR",
      description = "A folder with one .txt file of 100 kB and more for each kind of text.")
  private Path texts;

  @Option(
      names = "--days",
      defaultValue = "365",
      paramLabel = "N",
      description = "Days after a lead-in of a week; ${DEFAULT-VALUE} by default.")
  private int days;

  @Option(
      names = "--every",
      split = ",",
      defaultValue = "7,30",
      paramLabel = "DAYS",
      description = "Fixed intervals to compare with; ${DEFAULT-VALUE} by default.")
  private List<Integer> intervals;

  @Option(
      names = "--stationary",
      description = "The kinds of text keep their shares: a loop should then do nothing.")
  private boolean stationary;

  @Option(
      names = "--seed",
      defaultValue = "20260301",
      paramLabel = "N",
      description = "The same seed gives the same figures; ${DEFAULT-VALUE} by default.")
  private long seed;

  @Option(
      names = "--folder",
      paramLabel = "DIR",
      description = "Where the simulated stores are; by default a folder that is removed again.")
  private @Nullable Path folder;

  @Mixin private ResultOutput result = new ResultOutput();

  BenchSimulateCommand() {}

  @Override
  public Integer call() throws IOException {
    Simulation.Setup setup =
        new Simulation.Setup(checkpoint, texts, Duration.ofDays(days), seed, stationary);
    Path home = folder == null ? Files.createTempDirectory("smelt-simulation") : folder;
    List<Way> others = new ArrayList<>(List.of(Way.never()));
    intervals.forEach(interval -> others.add(Way.each(Duration.ofDays(interval))));
    try (Simulation simulation = new Simulation(setup, home)) {
      List<Figures> figures =
          simulation.compare(
              stationary ? List.of() : others,
              (way, seconds) ->
                  result.printPart(out -> out.printf("# %s took %d s%n", way, seconds)));
      result.print(
          () ->
              new ObjectMapper()
                  .registerModule(new JavaTimeModule())
                  .disable(SerializationFeature.WRITE_DATES_AS_TIMESTAMPS)
                  .valueToTree(figures),
          out -> print(out, figures));
    }
    return 0;
  }

  private static void print(PrintWriter out, List<Figures> figures) {
    out.printf(
        "%-29s %9s %9s %8s %8s %10s %11s %12s%n",
        "re-merges",
        "number",
        "no change",
        "recalls",
        "taken",
        "mean loss",
        "mean regret",
        "worst hour");
    out.printf(
        "%-29s %9s %9s %8s %8s %10s %11s %12s%n", "", "", "", "", "back", "bpb", "bpb", "bpb");
    for (Figures way : figures) {
      out.printf(
          Locale.ROOT,
          "%-29s %9d %9d %8d %8d %10.4f %11.4f %12.4f%n",
          way.way(),
          way.remerges(),
          way.skipped(),
          way.recalls(),
          way.rollbacks(),
          way.meanLoss(),
          way.meanRegret(),
          way.worstRegret());
    }
  }
}
