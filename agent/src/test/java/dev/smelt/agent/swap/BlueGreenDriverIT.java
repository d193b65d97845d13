package dev.smelt.agent.swap;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.sun.net.httpserver.HttpServer;
import dev.smelt.agent.swap.SwapResult.Kept;
import dev.smelt.agent.swap.SwapResult.Served;
import dev.smelt.agent.tap.Combiner;
import dev.smelt.agent.tap.CombinerSettings;
import dev.smelt.agent.tap.EngineDialect;
import dev.smelt.agent.tap.Engines;
import dev.smelt.agent.tap.ProxySettings;
import dev.smelt.agent.tap.ProxyTap;
import dev.smelt.agent.tap.TappedModel;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.vertx.core.Vertx;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.IntSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BlueGreenDriverIT {

  private static final Serving TARGET = new Serving("new", Path.of("/new"));
  private static final Serving PREVIOUS = new Serving("old", Path.of("/old"));

  @TempDir Path folder;
  private final List<LivePlace> lives = new ArrayList<>();
  private final ExecutorService threads = Executors.newCachedThreadPool();
  private final CountDownLatch answerable = new CountDownLatch(1);
  private final List<HttpServer> servers = new ArrayList<>();
  private final List<String> hooks = new CopyOnWriteArrayList<>();
  private volatile int blueHealth = 200;
  private volatile int greenHealth = 200;
  private volatile String blueVersion = "other";
  private URI blue;
  private URI green;
  private URI hook;

  @BeforeEach
  void start() throws IOException {
    blue = server("/health", () -> blueHealth);
    green = server("/health", () -> greenHealth);
    HttpServer hooks = HttpServer.create(loopback(), 0);
    servers.add(hooks);
    hooks.createContext(
        "/",
        exchange -> {
          String body =
              new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
          String place = body.contains(green.toString()) ? "green" : "blue";
          this.hooks.add(exchange.getRequestURI().getPath().substring(1) + " " + place);
          boolean refused = exchange.getRequestURI().getPath().equals("/refuse");
          exchange.sendResponseHeaders(refused ? 500 : 200, -1);
          exchange.close();
        });
    hooks.start();
    hook = URI.create("http://127.0.0.1:" + hooks.getAddress().getPort());
  }

  @AfterEach
  void stop() {
    lives.forEach(LivePlace::close);
    answerable.countDown();
    servers.forEach(server -> server.stop(0));
    threads.shutdownNow();
  }

  @Test
  void shouldShiftToAHealthyEngineAndStopTheOldOne() {
    Engines engines = new Engines(List.of(blue));

    SwapResult result = webhooks(engines).swap(TARGET, PREVIOUS);

    assertThat(result).isEqualTo(new Served("new"));
    assertThat(engines.current()).containsExactly(green);
    assertThat(hooks).containsExactly("stop green", "start green", "stop blue");
  }

  @Test
  void shouldLeaveAnEngineAloneThatServesTheTargetAlready() {
    blueVersion = "new";
    Engines engines = new Engines(List.of(blue));

    SwapResult result = webhooks(engines).swap(TARGET, PREVIOUS);

    assertThat(result).isEqualTo(new Served("new"));
    assertThat(engines.current()).containsExactly(blue);
    assertThat(hooks).isEmpty();
  }

  @Test
  void shouldReturnToTheOtherPlace() {
    Engines engines = new Engines(List.of(blue));
    BlueGreenDriver driver = webhooks(engines);

    driver.swap(TARGET, PREVIOUS);
    driver.swap(PREVIOUS, TARGET);

    assertThat(engines.current()).containsExactly(blue);
  }

  @Test
  void shouldKeepTheOldEngineWhenTheNewOneDoesNotBecomeHealthy() {
    greenHealth = 503;
    Engines engines = new Engines(List.of(blue));

    SwapResult result = webhooks(engines).swap(TARGET, PREVIOUS);

    assertThat(result)
        .isEqualTo(
            new Kept(
                "old", "the engine on " + green + " did not start: not healthy within PT0.5S"));
    assertThat(engines.current()).containsExactly(blue);
    assertThat(hooks).containsExactly("stop green", "start green", "stop green");
  }

  @Test
  void shouldKeepTheOldEngineWhenTheStartCommandFails() {
    greenHealth = 503;
    Engines engines = new Engines(List.of(blue));

    SwapResult result = commands(engines, List.of("sh", "-c", "exit 3")).swap(TARGET, PREVIOUS);

    assertThat(result)
        .isEqualTo(
            new Kept(
                "old",
                "the engine on "
                    + green
                    + " did not start: the start command ended with status 3"));
  }

  @Test
  void shouldKeepTheOldEngineWhenTheStartCommandIsUnknown() {
    Engines engines = new Engines(List.of(blue));

    SwapResult result = commands(engines, List.of("/no/such/command")).swap(TARGET, PREVIOUS);

    assertThat(result)
        .isInstanceOfSatisfying(
            Kept.class,
            kept -> assertThat(kept.reason()).contains("the start command failed: Cannot run"));
  }

  @Test
  void shouldServeWhenTheOldEngineCannotBeStopped() {
    Engines engines = new Engines(List.of(blue));

    SwapResult result = commands(engines, List.of("sleep", "60")).swap(TARGET, PREVIOUS);

    assertThat(result).isEqualTo(new Served("new"));
  }

  @Test
  void shouldAdoptTheOnlyHealthyPlaceAfterAStart() {
    blueHealth = 503;
    Engines engines = new Engines(List.of(blue));

    webhooks(engines).adopt();

    assertThat(engines.current()).containsExactly(green);
  }

  @Test
  void shouldKeepTheOldEngineWhenTheStartWebhookRefuses() {
    Engines engines = new Engines(List.of(blue));
    BlueGreenDriver driver =
        new BlueGreenDriver(
            settings(List.of(hook + "/refuse"), List.of(hook + "/stop")),
            SwapSettings.defaults(),
            live("this", engines));

    SwapResult result = driver.swap(TARGET, PREVIOUS);

    assertThat(result)
        .isEqualTo(
            new Kept(
                "old",
                "the engine on %s did not start: POST %s/refuse answered 500"
                    .formatted(green, hook)));
    assertThat(engines.current()).containsExactly(blue);
    assertThat(hooks).containsExactly("stop green", "refuse green", "stop green");
  }

  @Test
  void shouldServeWhenTheStopWebhookRefuses() {
    Engines engines = new Engines(List.of(blue));
    BlueGreenDriver driver =
        new BlueGreenDriver(
            settings(List.of(hook + "/start"), List.of(hook + "/refuse")),
            SwapSettings.defaults(),
            live("this", engines));

    assertThat(driver.swap(TARGET, PREVIOUS)).isEqualTo(new Served("new"));

    assertThat(engines.current()).containsExactly(green);
    assertThat(hooks).containsExactly("refuse green", "start green", "refuse blue");
  }

  @Test
  void shouldKeepTheOldEngineWhenTheShiftCannotBeTold() throws IOException {
    Engines engines = new Engines(List.of(blue));
    BlueGreenDriver driver = webhooks(engines);
    Files.createDirectories(folder.resolve("engine").resolve("in the way"));

    SwapResult result = driver.swap(TARGET, PREVIOUS);

    assertThat(result)
        .isInstanceOfSatisfying(
            Kept.class, kept -> assertThat(kept.reason()).contains("engine: cannot be written"));
    assertThat(engines.current()).containsExactly(blue);
    assertThat(hooks).containsExactly("stop green", "start green", "stop green");
  }

  @Test
  void shouldShiftTheProxiesOfAllAgentsAndDrainThemBeforeItStopsTheOldEngine() {
    Vertx vertx = Vertx.vertx();
    try {
      ProxyTap other = proxy(vertx, blue);
      int port = other.listen().await();
      live("other", other.engines());
      BlueGreenDriver driver = webhooks(new Engines(List.of(blue)));
      CompletableFuture<Integer> slow =
          HttpClient.newHttpClient()
              .sendAsync(
                  HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + "/slow")).build(),
                  BodyHandlers.discarding())
              .thenApply(HttpResponse::statusCode);
      await().until(() -> other.engines().inFlight(blue) == 1);

      CompletableFuture<SwapResult> swap =
          CompletableFuture.supplyAsync(() -> driver.swap(TARGET, PREVIOUS));

      await().until(() -> other.engines().current().equals(List.of(green)));
      assertThat(hooks).containsExactly("stop green", "start green");
      answerable.countDown();
      assertThat(slow).succeedsWithin(Duration.ofSeconds(30)).isEqualTo(200);
      assertThat(swap).succeedsWithin(Duration.ofSeconds(30)).isEqualTo(new Served("new"));
      assertThat(hooks).containsExactly("stop green", "start green", "stop blue");
      other.close().await();
    } finally {
      vertx.close().await();
    }
  }

  @Test
  void shouldStopTheOldEngineWhenItsRequestsDoNotEnd() {
    Vertx vertx = Vertx.vertx();
    try {
      ProxyTap proxy = proxy(vertx, blue);
      int port = proxy.listen().await();
      BlueGreenDriver driver = webhooks(proxy.engines());
      HttpClient.newHttpClient()
          .sendAsync(
              HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + "/slow")).build(),
              BodyHandlers.discarding());
      await().until(() -> proxy.engines().inFlight(blue) == 1);

      assertThat(driver.swap(TARGET, PREVIOUS)).isEqualTo(new Served("new"));

      assertThat(hooks).containsExactly("stop green", "start green", "stop blue");
      answerable.countDown();
      proxy.close().await();
    } finally {
      vertx.close().await();
    }
  }

  @Test
  void shouldRefuseTheSamePlaceTwice() {
    assertThatThrownBy(() -> BlueGreenSettings.defaults(blue, blue, List.of("run"), List.of()))
        .hasMessageStartingWith("swap.blueGreen.blue and swap.blueGreen.green must differ");
  }

  private BlueGreenDriver webhooks(Engines engines) {
    return new BlueGreenDriver(
        settings(List.of(hook + "/start"), List.of(hook + "/stop")),
        SwapSettings.defaults(),
        live("this", engines));
  }

  private BlueGreenDriver commands(Engines engines, List<String> start) {
    return new BlueGreenDriver(
        settings(start, List.of()), SwapSettings.defaults(), live("this", engines));
  }

  private LivePlace live(String agent, Engines engines) {
    LivePlace live = LivePlace.follow(folder, agent, List.of(blue, green), engines);
    lives.add(live);
    return live;
  }

  private static ProxyTap proxy(Vertx vertx, URI engine) {
    TappedModel model = new TappedModel("m", 1, List.of(new TappedModel.Block("block", 0, 4, 2)));
    Clock clock = Clock.systemUTC();
    return new ProxyTap(
        vertx,
        ProxySettings.of("127.0.0.1", 0, List.of(engine), EngineDialect.SGLANG, 0),
        model,
        () -> "",
        new Combiner(model, CombinerSettings.defaults(), "test", clock, record -> {}),
        clock,
        new SimpleMeterRegistry());
  }

  private BlueGreenSettings settings(List<String> start, List<String> stop) {
    return new BlueGreenSettings(
        blue,
        green,
        start,
        stop,
        "/health",
        Duration.ofMillis(500),
        Duration.ofSeconds(2),
        Duration.ofSeconds(5));
  }

  private URI server(String path, IntSupplier status) throws IOException {
    HttpServer server = HttpServer.create(loopback(), 0);
    servers.add(server);
    server.setExecutor(threads);
    server.createContext(
        "/slow",
        exchange -> {
          try {
            answerable.await(1, TimeUnit.MINUTES);
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
          exchange.sendResponseHeaders(200, -1);
          exchange.close();
        });
    server.createContext(
        path,
        exchange -> {
          exchange.sendResponseHeaders(status.getAsInt(), -1);
          exchange.close();
        });
    server.createContext(
        "/model_info",
        exchange -> {
          byte[] body =
              ("{\"weight_version\":\"" + blueVersion + "\"}").getBytes(StandardCharsets.UTF_8);
          exchange.sendResponseHeaders(200, body.length);
          exchange.getResponseBody().write(body);
          exchange.close();
        });
    server.start();
    return URI.create("http://127.0.0.1:" + server.getAddress().getPort());
  }

  private static InetSocketAddress loopback() {
    return new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
  }
}
