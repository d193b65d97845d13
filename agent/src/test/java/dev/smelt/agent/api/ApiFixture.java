package dev.smelt.agent.api;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.smelt.agent.config.ApiSettings;
import dev.smelt.agent.config.ApiSettings.Role;
import dev.smelt.agent.config.ApiSettings.Token;
import io.vertx.core.Vertx;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.stream.Collectors;

/** A running API over a replayed model. */
final class ApiFixture implements AutoCloseable {

  static final String VIEWER = "viewer-secret-0123456789";
  static final String OPERATOR = "operator-secret-0123456789";
  static final List<Token> TOKENS =
      List.of(new Token("board", Role.VIEWER, VIEWER), new Token("ada", Role.OPERATOR, OPERATOR));

  private static final ObjectMapper JSON = new ObjectMapper();

  final ReplayControl model;
  final LiveEvents events;
  final HealthChecks health = new HealthChecks();
  final Metrics metrics;
  private final Vertx vertx = Vertx.vertx();
  private final ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();
  private final HttpClient client = HttpClient.newHttpClient();
  private final ReplayStore store;
  private AgentApi api;
  private int port;

  private ApiFixture(List<Token> tokens, Duration past) {
    Clock clock = Clock.systemUTC();
    metrics = new Metrics(health, clock);
    events = new LiveEvents(metrics, clock);
    Instant now = clock.instant();
    model =
        new ReplayControl(
                ReplayControl.BYTE_MOE, events, timer, Duration.ofMillis(40), now.minus(past))
            .withPast(now);
    metrics.watch(model);
    store = new ReplayStore(List.of(model));
    api = api(0, tokens, events);
    port = api.start().await();
  }

  static ApiFixture open() {
    return new ApiFixture(List.of(), Duration.ofHours(1));
  }

  /** A model that no traffic has reached yet. */
  static ApiFixture withoutPast() {
    return new ApiFixture(List.of(), Duration.ZERO);
  }

  static ApiFixture withTokens() {
    return new ApiFixture(TOKENS, Duration.ofHours(1));
  }

  int port() {
    return port;
  }

  String url(String path) {
    return "http://127.0.0.1:" + port + path;
  }

  /** The routes of the agent's own API, as in {@code get /v1/models/{model}}. */
  Set<String> routes() {
    return api(0, List.of(), events).router().getRoutes().stream()
        .filter(route -> route.getPath() != null && route.methods() != null)
        .filter(route -> !route.getPath().matches(".*/(snapshots|refs).*"))
        .filter(route -> route.getPath().startsWith("/v1/"))
        .map(
            route ->
                route.methods().iterator().next().name().toLowerCase(Locale.ROOT)
                    + " "
                    + route.getPath().replaceAll(":(\\w+)", "{$1}"))
        .collect(Collectors.toCollection(TreeSet::new));
  }

  /** Stops answering, as an agent that is restarted does. */
  void stop() {
    api.close().await();
  }

  /** Answers again on the same port, as an agent that has forgotten its events. */
  LiveEvents startAnew() {
    LiveEvents fresh = new LiveEvents(metrics, Clock.systemUTC());
    api = api(port, List.of(), fresh);
    port = api.start().await();
    return fresh;
  }

  HttpResponse<String> get(String path) throws IOException, InterruptedException {
    return client.send(
        HttpRequest.newBuilder(URI.create(url(path))).build(), BodyHandlers.ofString());
  }

  HttpResponse<String> get(String path, String token) throws IOException, InterruptedException {
    return client.send(
        HttpRequest.newBuilder(URI.create(url(path)))
            .header("Authorization", "Bearer " + token)
            .build(),
        BodyHandlers.ofString());
  }

  HttpResponse<String> post(String path, String body) throws IOException, InterruptedException {
    return post(path, body, "Content-Type", "application/json");
  }

  HttpResponse<String> post(String path, String body, String... headers)
      throws IOException, InterruptedException {
    return client.send(
        HttpRequest.newBuilder(URI.create(url(path)))
            .headers(headers)
            .POST(BodyPublishers.ofString(body))
            .build(),
        BodyHandlers.ofString());
  }

  static JsonNode json(HttpResponse<String> response) throws IOException {
    return JSON.readTree(response.body());
  }

  @Override
  public void close() {
    api.close().await();
    vertx.close().await();
    timer.shutdownNow();
    metrics.close();
  }

  private AgentApi api(int at, List<Token> tokens, LiveEvents told) {
    return new AgentApi(
        vertx,
        new ApiSettings("127.0.0.1", at, tokens),
        List.of(model),
        told,
        health,
        metrics,
        List.of(store));
  }
}
