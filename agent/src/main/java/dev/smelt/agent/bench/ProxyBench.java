package dev.smelt.agent.bench;

import dev.smelt.agent.bench.Wrk.Load;
import dev.smelt.agent.tap.Combiner;
import dev.smelt.agent.tap.CombinerSettings;
import dev.smelt.agent.tap.EngineDialect;
import dev.smelt.agent.tap.ProxySettings;
import dev.smelt.agent.tap.ProxyTap;
import dev.smelt.agent.tap.TapStatus;
import dev.smelt.agent.tap.TappedModel;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.vertx.core.Vertx;
import java.io.IOException;
import java.net.URI;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;

/**
 * What the proxy costs: wrk against a stand-in for an engine, directly, through the proxy with the
 * tap off, and through the proxy with every answer tapped. The three take turns, so that what else
 * the machine does hits all of them; figures are medians over the rounds.
 */
public final class ProxyBench {

  private ProxyBench() {}

  /** Ways to the engine. */
  public enum Way {
    DIRECT,
    TAP_OFF,
    TAPPED
  }

  /**
   * The model whose decisions come back.
   *
   * @param promptTokens tokens of each prompt
   * @param newTokens tokens of each answer
   */
  public record Shape(int layers, int experts, int topK, int promptTokens, int newTokens) {}

  /**
   * How to measure.
   *
   * @param service time that the engine takes for each request
   * @param connections requests at the same time
   * @param rounds turns of the three ways
   * @param time length of each run
   * @param wrk the load generator's name or path
   */
  public record Options(
      Shape shape, Duration service, int connections, int rounds, Duration time, String wrk) {}

  /**
   * Medians over the rounds.
   *
   * @param perSecond requests per second
   * @param p50 median latency, ms
   * @param p99 99th percentile of latency, ms
   * @param failed requests that failed, in all rounds together
   */
  public record Figures(double perSecond, double p50, double p99, long failed) {

    private static Figures of(List<Load> loads) {
      return new Figures(
          median(loads, Load::perSecond),
          median(loads, Load::p50),
          median(loads, Load::p99),
          loads.stream().mapToLong(Load::failed).sum());
    }

    private static double median(List<Load> loads, ToDoubleFunction<Load> figure) {
      double[] sorted = loads.stream().mapToDouble(figure).sorted().toArray();
      return sorted[sorted.length / 2];
    }
  }

  /**
   * What was measured.
   *
   * @param ways the figures of each way
   * @param status what the tap says at the end
   * @param heapBefore bytes in use before the last round, after a collection
   * @param heapAfter the same after it
   */
  public record Report(Map<Way, Figures> ways, TapStatus status, long heapBefore, long heapAfter) {

    /** Throughput of a way as a share of the direct one. */
    public double ratio(Way way) {
      return ways.get(way).perSecond() / ways.get(Way.DIRECT).perSecond();
    }
  }

  public static Report run(Options options) throws IOException, InterruptedException {
    Vertx vertx = Vertx.vertx();
    try (EngineStub engine = new EngineStub(options.shape(), options.service());
        Wrk wrk = new Wrk(options.wrk())) {
      ProxyTap off = proxy(vertx, engine.uri(), options.shape(), 0);
      ProxyTap tapped = proxy(vertx, engine.uri(), options.shape(), 1);
      Map<Way, URI> targets = new EnumMap<>(Way.class);
      targets.put(Way.DIRECT, engine.uri());
      targets.put(Way.TAP_OFF, listening(off));
      targets.put(Way.TAPPED, listening(tapped));
      Map<Way, List<Load>> loads = new EnumMap<>(Way.class);
      for (Way way : Way.values()) {
        wrk.run(targets.get(way), options.connections(), options.time());
        loads.put(way, new ArrayList<>());
      }
      long heapBefore = usedHeap();
      for (int round = 0; round < options.rounds(); round++) {
        for (Way way : Way.values()) {
          loads.get(way).add(wrk.run(targets.get(way), options.connections(), options.time()));
        }
      }
      long heapAfter = usedHeap();
      Map<Way, Figures> figures = new EnumMap<>(Way.class);
      loads.forEach((way, measured) -> figures.put(way, Figures.of(measured)));
      TapStatus status = tapped.status();
      off.close().await();
      tapped.close().await();
      return new Report(figures, status, heapBefore, heapAfter);
    } finally {
      vertx.close().await();
    }
  }

  private static ProxyTap proxy(Vertx vertx, URI engine, Shape shape, double share) {
    TappedModel model =
        new TappedModel(
            "bench",
            shape.layers(),
            IntStream.range(0, shape.layers())
                .mapToObj(
                    layer ->
                        new TappedModel.Block(
                            "layer-" + layer, layer, shape.experts(), shape.topK()))
                .toList());
    Clock clock = Clock.systemUTC();
    return new ProxyTap(
        vertx,
        ProxySettings.of("127.0.0.1", 0, List.of(engine), EngineDialect.SGLANG, share),
        model,
        () -> "",
        new Combiner(model, CombinerSettings.defaults(), "bench", clock, record -> {}),
        clock,
        new SimpleMeterRegistry());
  }

  private static URI listening(ProxyTap proxy) {
    return URI.create("http://127.0.0.1:" + proxy.listen().await());
  }

  private static long usedHeap() {
    System.gc();
    Runtime runtime = Runtime.getRuntime();
    return runtime.totalMemory() - runtime.freeMemory();
  }
}
