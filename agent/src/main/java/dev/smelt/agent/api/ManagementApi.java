package dev.smelt.agent.api;

import dev.smelt.agent.config.Listening;
import dev.smelt.agent.config.ManagementSettings;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.WorkerExecutor;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.ext.web.Router;
import io.vertx.ext.web.RoutingContext;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * {@code /livez}, {@code /readyz} and {@code /metrics}, on a port of their own that answers without
 * a token and shows neither traffic nor snapshots.
 */
public final class ManagementApi {

  private static final String METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

  private final Vertx vertx;
  private final ManagementSettings settings;
  private final HealthChecks health;
  private final Metrics metrics;
  private final WorkerExecutor reading;
  private final HttpServer server;

  public ManagementApi(
      Vertx vertx, ManagementSettings settings, HealthChecks health, Metrics metrics) {
    this.vertx = vertx;
    this.settings = settings;
    this.health = health;
    this.metrics = metrics;
    this.reading = vertx.createSharedWorkerExecutor("smelt-management", 1, 1, TimeUnit.MINUTES);
    this.server =
        vertx.createHttpServer(
            new HttpServerOptions()
                .setHost(settings.host())
                .setPort(settings.port())
                .setIdleTimeout(60));
  }

  /** Listens; completes with the port, which the settings may have left open. */
  public Future<Integer> start() {
    Router router = Router.router(vertx);
    router.get("/livez").handler(ManagementApi::live);
    router.get("/readyz").handler(this::ready);
    router.get("/metrics").handler(this::metrics);
    return server
        .requestHandler(router)
        .listen()
        .map(HttpServer::actualPort)
        .recover(
            failure ->
                Future.failedFuture(
                    Listening.failed("management", settings.host(), settings.port(), failure)));
  }

  public Future<Void> close() {
    return server.close().eventually(reading::close);
  }

  private static void live(RoutingContext request) {
    send(request, 200, "application/json", Buffer.buffer("{\"alive\":true}"));
  }

  private void ready(RoutingContext request) {
    reading
        .executeBlocking(health::results, false)
        .onSuccess(
            results -> {
              boolean ready = results.stream().allMatch(HealthChecks.Result::ready);
              send(
                  request,
                  ready ? 200 : 503,
                  "application/json",
                  Buffer.buffer(ApiJson.bytes(view(ready, results))));
            })
        .onFailure(request::fail);
  }

  private static Map<String, Object> view(boolean ready, List<HealthChecks.Result> results) {
    Map<String, Object> view = new LinkedHashMap<>();
    view.put("ready", ready);
    view.put("checks", results);
    return view;
  }

  private void metrics(RoutingContext request) {
    reading
        .executeBlocking(metrics::scrape, false)
        .onSuccess(text -> send(request, 200, METRICS_TYPE, Buffer.buffer(text)))
        .onFailure(request::fail);
  }

  private static void send(RoutingContext request, int status, String type, Buffer body) {
    request
        .response()
        .setStatusCode(status)
        .putHeader("Content-Type", type)
        .putHeader("Cache-Control", "no-store")
        .putHeader("X-Content-Type-Options", "nosniff")
        .end(body);
  }
}
