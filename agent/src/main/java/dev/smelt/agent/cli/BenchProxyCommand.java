package dev.smelt.agent.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.agent.bench.ProxyBench;
import dev.smelt.agent.bench.ProxyBench.Figures;
import dev.smelt.agent.bench.ProxyBench.Way;
import java.io.IOException;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code smelt bench proxy}: what the proxy costs beside the engine alone. */
@Command(
    name = "proxy",
    description = {
      "The proxy with the tap off and with every answer tapped, beside the engine directly and nginx.",
      "The engine is a stand-in that answers after a fixed time, as SGLang does."
    },
    footer = {
      "  smelt bench proxy",
      "  smelt bench proxy --connections 50 --seconds 5 --json",
      "  smelt bench proxy --soak 1800000 --service 0 --layers 4 --top-k 2"
    })
final class BenchProxyCommand implements Callable<Integer> {

  private static final int SOAK_PARTS = 4;

  @Option(
      names = "--service",
      paramLabel = "MS",
      defaultValue = "20",
      description = "Time the engine takes for a request, ms; default: ${DEFAULT-VALUE}.")
  private int service;

  @Option(
      names = "--connections",
      paramLabel = "N",
      defaultValue = "10",
      description =
          "Requests at the same time where throughput is measured; default: ${DEFAULT-VALUE}.")
  private int connections;

  @Option(
      names = "--rate",
      paramLabel = "N",
      defaultValue = "500",
      description = "Requests a second where latency is measured; default: ${DEFAULT-VALUE}.")
  private int rate;

  @Option(
      names = "--rounds",
      paramLabel = "N",
      defaultValue = "3",
      description = "Turns of the ways; default: ${DEFAULT-VALUE}.")
  private int rounds;

  @Option(
      names = "--seconds",
      paramLabel = "N",
      defaultValue = "5",
      description = "Length of each run; default: ${DEFAULT-VALUE}.")
  private int seconds;

  @Option(
      names = "--layers",
      defaultValue = "48",
      paramLabel = "N",
      description = "Blocks with experts of the model; default: ${DEFAULT-VALUE}.")
  private int layers;

  @Option(
      names = "--experts",
      defaultValue = "128",
      paramLabel = "N",
      description = "Experts of a block; default: ${DEFAULT-VALUE}.")
  private int experts;

  @Option(
      names = "--top-k",
      defaultValue = "8",
      paramLabel = "N",
      description = "Experts that a token goes to; default: ${DEFAULT-VALUE}.")
  private int topK;

  @Option(
      names = "--tokens",
      paramLabel = "N",
      defaultValue = "16",
      description = "Tokens of each prompt and of each answer; default: ${DEFAULT-VALUE}.")
  private int tokens;

  @Option(
      names = "--wrk",
      paramLabel = "FILE",
      defaultValue = "wrk",
      description = "The load generator; default: ${DEFAULT-VALUE}.")
  private String wrk;

  @Option(
      names = "--soak",
      paramLabel = "N",
      description =
          "Instead, send N requests through the tapped proxy and tell its memory on the way;"
              + " 1800000 are an hour's at 500 a second.")
  private @Nullable Long soak;

  @Mixin private ResultOutput result = new ResultOutput();

  @Override
  public Integer call() throws IOException, InterruptedException {
    ProxyBench.Options options =
        new ProxyBench.Options(
            new ProxyBench.Shape(layers, experts, topK, tokens, tokens),
            Duration.ofMillis(service),
            connections,
            rate,
            rounds,
            Duration.ofSeconds(seconds),
            wrk);
    if (soak != null) {
      List<ProxyBench.Footprint> footprints = ProxyBench.soak(options, soak, SOAK_PARTS);
      result.print(() -> json(footprints), out -> print(out, footprints));
      return 0;
    }
    ProxyBench.Report report = ProxyBench.run(options);
    result.print(() -> json(report), out -> print(out, report));
    return 0;
  }

  private static ArrayNode json(List<ProxyBench.Footprint> footprints) {
    ArrayNode all = JsonNodeFactory.instance.arrayNode();
    footprints.forEach(
        footprint ->
            all.addObject()
                .put("requests", footprint.requests())
                .put("heapBytes", footprint.heap())
                .put("residentBytes", footprint.resident()));
    return all;
  }

  private static void print(PrintWriter out, List<ProxyBench.Footprint> footprints) {
    footprints.forEach(
        footprint ->
            out.printf(
                Locale.ROOT,
                "after %,10d requests: heap %6.1f MB after a collection, %6.1f MB resident%n",
                footprint.requests(),
                footprint.heap() / 1e6,
                footprint.resident() / 1e6));
  }

  private static ObjectNode json(ProxyBench.Report report) {
    ObjectNode all = JsonNodeFactory.instance.objectNode();
    report
        .ways()
        .forEach(
            (way, figures) ->
                all.putObject(way.name().toLowerCase(Locale.ROOT))
                    .put("requestsPerSecond", figures.perSecond())
                    .put("pacedPerSecond", figures.pacedPerSecond())
                    .put("p50Ms", figures.p50())
                    .put("p99Ms", figures.p99())
                    .put("failed", figures.failed())
                    .put("throughputRatio", report.ratio(way)));
    all.put("tappedAnswers", report.status().answers());
    ObjectNode faults = all.putObject("tapFaults");
    report.status().faults().forEach((fault, count) -> faults.put(fault.label(), count));
    all.put("heapBytesBefore", report.heapBefore());
    all.put("heapBytesAfter", report.heapAfter());
    return all;
  }

  private static void print(PrintWriter out, ProxyBench.Report report) {
    Figures direct = report.ways().get(Way.DIRECT);
    out.printf(
        "%-13s %10s %6s   %7s %8s %8s %9s %9s %7s%n",
        "", "requests/s", "ratio", "paced/s", "p50 ms", "p99 ms", "p50 more", "p99 more", "failed");
    report
        .ways()
        .forEach(
            (way, figures) ->
                out.printf(
                    Locale.ROOT,
                    "%-13s %10.1f %6.3f   %7.1f %8.2f %8.2f %+9.2f %+9.2f %7d%n",
                    way.name().toLowerCase(Locale.ROOT).replace('_', ' '),
                    figures.perSecond(),
                    report.ratio(way),
                    figures.pacedPerSecond(),
                    figures.p50(),
                    figures.p99(),
                    figures.p50() - direct.p50(),
                    figures.p99() - direct.p99(),
                    figures.failed()));
    out.printf(
        Locale.ROOT,
        "%d answers tapped, %s; heap %.1f MB before and %.1f MB after%n",
        report.status().answers(),
        report.status().faults().isEmpty() ? "none lost" : "lost: " + report.status().faults(),
        report.heapBefore() / 1e6,
        report.heapAfter() / 1e6);
  }
}
