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
import io.vertx.core.VertxOptions;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * What the proxy costs: wrk against a stand-in for an engine, directly, through nginx, through the
 * proxy with the tap off, and through the proxy with every answer tapped. They take turns, so that
 * what else the machine does hits all of them; figures are medians over the rounds.
 */
public final class ProxyBench {

  /** The compilers of both processes need some thousand requests to be done with them. */
  private static final int WARM_UPS = 2;

  private ProxyBench() {}

  /** Ways to the engine. */
  public enum Way {
    DIRECT,
    /** Through nginx, where it is installed: what any proxy costs on this machine. */
    NGINX,
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
    Vertx vertx = vertx();
    Path folder = Files.createTempDirectory("smelt-bench");
    Optional<Nginx> nginx = Optional.empty();
    try (EngineStub.Running engine = EngineStub.start(options.shape(), options.service());
        Wrk wrk = new Wrk(options.wrk())) {
      nginx = nginx(engine.uri(), folder);
      ProxyTap off = proxy(vertx, engine.uri(), options.shape(), 0);
      ProxyTap tapped = proxy(vertx, engine.uri(), options.shape(), 1);
      Map<Way, URI> targets = new EnumMap<>(Way.class);
      targets.put(Way.DIRECT, engine.uri());
      nginx.ifPresent(running -> targets.put(Way.NGINX, running.uri()));
      targets.put(Way.TAP_OFF, listening(off));
      targets.put(Way.TAPPED, listening(tapped));
      Map<Way, List<Load>> loads = new EnumMap<>(Way.class);
      for (Way way : targets.keySet()) {
        for (int round = 0; round < WARM_UPS; round++) {
          wrk.run(targets.get(way), options.connections(), options.time());
        }
        loads.put(way, new ArrayList<>());
      }
      long heapBefore = usedHeap();
      for (int round = 0; round < options.rounds(); round++) {
        for (Way way : targets.keySet()) {
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
      nginx.ifPresent(Nginx::close);
      vertx.close().await();
      try (Stream<Path> files = Files.list(folder)) {
        for (Path file : files.toList()) {
          Files.delete(file);
        }
      }
      Files.delete(folder);
    }
  }

  /** Native transport where it is there, as in the agent. */
  private static Vertx vertx() {
    return Vertx.vertx(new VertxOptions().setPreferNativeTransport(true));
  }

  private static Optional<Nginx> nginx(URI engine, Path folder)
      throws IOException, InterruptedException {
    return Nginx.start(
        "upstream engine { server " + engine.getAuthority() + "; keepalive 64; }",
        "proxy_pass http://engine; proxy_http_version 1.1; proxy_set_header Connection \"\";",
        folder);
  }

  /**
   * What the process takes.
   *
   * @param requests that went through the tapped proxy so far
   * @param heap bytes in use after a collection
   * @param resident bytes of the process in memory
   */
  public record Footprint(long requests, long heap, long resident) {}

  /**
   * Sends requests through the tapped proxy as fast as they are answered.
   *
   * @param requests how many, at least
   * @param parts how often the footprint is taken, after it was taken once warm
   */
  public static List<Footprint> soak(Options options, long requests, int parts)
      throws IOException, InterruptedException {
    Vertx vertx = vertx();
    try (EngineStub.Running engine = EngineStub.start(options.shape(), options.service());
        Wrk wrk = new Wrk(options.wrk())) {
      ProxyTap tapped = proxy(vertx, engine.uri(), options.shape(), 1);
      URI target = listening(tapped);
      wrk.run(target, options.connections(), options.time());
      List<Footprint> footprints = new ArrayList<>();
      footprints.add(new Footprint(0, usedHeap(), resident()));
      double sent = 0;
      for (int part = 1; part <= parts; part++) {
        while (sent < requests * (double) part / parts) {
          Load load = wrk.run(target, options.connections(), options.time());
          sent += load.perSecond() * options.time().toSeconds();
        }
        footprints.add(new Footprint(Math.round(sent), usedHeap(), resident()));
      }
      tapped.close().await();
      return footprints;
    } finally {
      vertx.close().await();
    }
  }

  private static long resident() throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("VmRSS:")) {
        return Long.parseLong(line.replaceAll("\\D", "")) << 10;
      }
    }
    throw new IOException("/proc/self/status does not tell what is resident");
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
