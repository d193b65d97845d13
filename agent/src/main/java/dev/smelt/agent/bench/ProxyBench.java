package dev.smelt.agent.bench;

import dev.smelt.agent.bench.Wrk.Load;
import dev.smelt.agent.bench.Wrk.Target;
import dev.smelt.agent.tap.Combiner;
import dev.smelt.agent.tap.CombinerSettings;
import dev.smelt.agent.tap.EngineDialect;
import dev.smelt.agent.tap.ProxySettings;
import dev.smelt.agent.tap.ProxyTap;
import dev.smelt.agent.tap.TapStatus;
import dev.smelt.agent.tap.TappedModel;
import dev.smelt.store.files.Folders;
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
import org.apache.commons.statistics.descriptive.Median;

/**
 * What the proxy costs: wrk against a stand-in for an engine, directly, through nginx, through the
 * proxy with the tap off, and through the proxy with every answer tapped. They take turns, so that
 * what else the machine does hits all of them; figures are medians over the rounds.
 *
 * <p>Throughput is that of a few connections that send one request after another. They fall into
 * step with an engine that always takes the same time, and their requests come in bursts; latency
 * is therefore measured apart, with many connections that pause at random between requests.
 */
public final class ProxyBench {

  /** Connections of a warm-up for each that is measured: compilers need some thousand requests. */
  private static final int WARM_UP = 4;

  /** Connections among which the paced load is spread. */
  private static final int PACED_CONNECTIONS = 50;

  /** What a request takes besides the engine's time, about; the pauses allow for it. */
  private static final Duration PATH = Duration.ofMillis(1);

  private static final String PROMPT =
      "\"model\":\"bench\",\"prompt\":\"the quick brown fox\",\"max_tokens\":16}";

  private ProxyBench() {}

  /** Ways to the engine. */
  public enum Way {
    DIRECT,
    /** Through nginx, where it is installed: what any proxy costs on this machine. */
    NGINX,
    TAP_OFF,
    /** Directly, by a client that asks for routed experts itself: what the engine takes for it. */
    DIRECT_ASKING,
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
   * @param connections requests at the same time where throughput is measured
   * @param rate requests per second where latency is measured
   * @param rounds turns of the ways
   * @param time length of each run
   * @param wrk the load generator's name or path
   */
  public record Options(
      Shape shape,
      Duration service,
      int connections,
      int rate,
      int rounds,
      Duration time,
      String wrk) {}

  /**
   * Medians over the rounds.
   *
   * @param perSecond requests per second of connections that never pause
   * @param pacedPerSecond requests per second of those that do
   * @param p50 median latency of the paced requests, ms
   * @param p99 99th percentile of it, ms
   * @param failed requests that failed, in all rounds together
   */
  public record Figures(
      double perSecond, double pacedPerSecond, double p50, double p99, long failed) {

    private static Figures of(Loads loads) {
      return new Figures(
          median(loads.busy(), Load::perSecond),
          median(loads.paced(), Load::perSecond),
          median(loads.paced(), Load::p50),
          median(loads.paced(), Load::p99),
          Stream.concat(loads.busy().stream(), loads.paced().stream())
              .mapToLong(Load::failed)
              .sum());
    }

    private static double median(List<Load> loads, ToDoubleFunction<Load> figure) {
      return Median.withDefaults().evaluate(loads.stream().mapToDouble(figure).toArray());
    }
  }

  /** The runs of one way. */
  private record Loads(List<Load> busy, List<Load> paced) {}

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
      Map<Way, Target> targets = new EnumMap<>(Way.class);
      targets.put(Way.DIRECT, plain(engine.uri()));
      nginx.ifPresent(running -> targets.put(Way.NGINX, plain(running.uri())));
      targets.put(Way.TAP_OFF, plain(listening(off)));
      targets.put(
          Way.DIRECT_ASKING, new Target(engine.uri(), "{" + EngineStub.ASKED + "," + PROMPT));
      targets.put(Way.TAPPED, plain(listening(tapped)));
      Map<Way, Loads> loads = new EnumMap<>(Way.class);
      for (Way way : targets.keySet()) {
        wrk.run(targets.get(way), WARM_UP * options.connections(), Duration.ZERO, options.time());
        loads.put(way, new Loads(new ArrayList<>(), new ArrayList<>()));
      }
      long heapBefore = usedHeap();
      for (int round = 0; round < options.rounds(); round++) {
        for (Way way : targets.keySet()) {
          Loads measured = loads.get(way);
          measured
              .busy()
              .add(wrk.run(targets.get(way), options.connections(), Duration.ZERO, options.time()));
          measured
              .paced()
              .add(wrk.run(targets.get(way), PACED_CONNECTIONS, pause(options), options.time()));
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
      Folders.delete(folder);
    }
  }

  private static Target plain(URI uri) {
    return new Target(uri, "{" + PROMPT);
  }

  /** What a connection has to wait between requests for all together to keep the rate. */
  private static Duration pause(Options options) {
    Duration cycle =
        Duration.ofSeconds(1).multipliedBy(PACED_CONNECTIONS).dividedBy(options.rate());
    return cycle.minus(options.service()).minus(PATH);
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
      Target target = plain(listening(tapped));
      wrk.run(target, options.connections(), Duration.ZERO, options.time());
      List<Footprint> footprints = new ArrayList<>();
      footprints.add(new Footprint(0, usedHeap(), resident()));
      double sent = 0;
      for (int part = 1; part <= parts; part++) {
        while (sent < requests * (double) part / parts) {
          Load load = wrk.run(target, options.connections(), Duration.ZERO, options.time());
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
