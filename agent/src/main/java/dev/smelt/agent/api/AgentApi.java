package dev.smelt.agent.api;

import dev.smelt.agent.config.ApiSettings;
import dev.smelt.agent.config.ApiSettings.PlainText;
import dev.smelt.agent.config.ApiSettings.Token;
import dev.smelt.agent.config.Listening;
import dev.smelt.agent.control.ModelControl;
import dev.smelt.store.http.AccessControl;
import dev.smelt.store.http.Caller;
import dev.smelt.store.http.Caller.Role;
import dev.smelt.store.http.Listen;
import dev.smelt.store.http.Listen.Transport;
import dev.smelt.store.http.Problem;
import io.vertx.core.Future;
import io.vertx.core.Handler;
import io.vertx.core.Vertx;
import io.vertx.core.WorkerExecutor;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServer;
import io.vertx.ext.web.Router;
import io.vertx.ext.web.RoutingContext;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * The API and the dashboard: what the loops know, what a person may ask of them, and what happens
 * as it happens.
 *
 * <p>Failure semantics: {@link #start} leaves nothing listening when it fails. A request in flight
 * when the API closes may be cut off; what it asked for goes on in the loop.
 */
public final class AgentApi {

  private static final int READERS = 4;
  private static final int IDLE_SECONDS = 60;

  private final Vertx vertx;
  private final ApiSettings settings;
  private final List<ModelControl> models;
  private final LiveEvents events;
  private final HealthChecks health;
  private final Metrics metrics;
  private final List<Consumer<Router>> mounts;
  private final WorkerExecutor reading;
  private final HttpServer server;

  /**
   * Composes the API; nothing listens yet.
   *
   * @param models the loops, in the order they are shown
   * @param events what the loops tell
   * @param health what the dashboard shows as health; the same checks as of the management port
   * @param metrics figures that the dashboard shows beside them
   * @param mounts further routes, such as the store's; mounted behind the access check
   */
  public AgentApi(
      Vertx vertx,
      ApiSettings settings,
      List<ModelControl> models,
      LiveEvents events,
      HealthChecks health,
      Metrics metrics,
      List<Consumer<Router>> mounts) {
    this.vertx = vertx;
    this.settings = settings;
    this.models = List.copyOf(models);
    this.events = events;
    this.health = health;
    this.metrics = metrics;
    this.mounts = List.copyOf(mounts);
    metrics.watchers(events);
    this.reading = vertx.createSharedWorkerExecutor("smelt-api", READERS, 1, TimeUnit.MINUTES);
    this.server =
        vertx.createHttpServer(
            listen(settings).options(access(settings)).setIdleTimeout(IDLE_SECONDS));
  }

  private static Listen listen(ApiSettings settings) {
    Transport transport =
        settings.tls() != null
            ? new Transport.Tls(settings.tls().certificate(), settings.tls().key())
            : settings.plainText() == PlainText.ALLOWED
                ? new Transport.PlainOnPurpose()
                : new Transport.Plain();
    return new Listen(settings.host(), settings.port(), transport);
  }

  /** Listens; completes with the port, which the settings may have left open. */
  public Future<Integer> start() {
    return server
        .requestHandler(router())
        .listen()
        .map(HttpServer::actualPort)
        .recover(
            failure ->
                Future.failedFuture(
                    Listening.failed("api", settings.host(), settings.port(), failure)));
  }

  public Future<Void> close() {
    return server.close().eventually(reading::close);
  }

  Router router() {
    AccessControl access = access(settings);
    Handler<RoutingContext> reads = access.require(Role.VIEWER);
    Handler<RoutingContext> acts = access.require(Role.OPERATOR);
    Router router = Router.router(vertx);
    router.route().failureHandler(AgentApi::failed);
    router.route().handler(this::measured);
    router.route().handler(new BrowserGuard(settings.tokens().isEmpty())::check);
    router.route("/v1/*").handler(request -> (reading(request) ? reads : acts).handle(request));
    router.get("/v1/session").handler(request -> session(request, access));
    router.get("/v1/health").handler(this::health);
    router.get("/v1/events").handler(new EventStream(vertx, events, models, reading)::open);
    new ModelRoutes(vertx, models, reading).mount(router);
    mounts.forEach(mount -> mount.accept(router));
    router
        .route("/v1/*")
        .handler(request -> Problem.of(404, "see /openapi.json for what there is").send(request));
    new Dashboard(reading).mount(router);
    router
        .route()
        .handler(request -> Problem.of(404, "see /openapi.json for what there is").send(request));
    return router;
  }

  /** Who may call: the holders of the configured tokens, or without any everybody here. */
  static AccessControl access(ApiSettings settings) {
    Map<String, Caller> tokens = new LinkedHashMap<>();
    for (Token token : settings.tokens()) {
      Role role = token.role() == ApiSettings.Role.OPERATOR ? Role.OPERATOR : Role.VIEWER;
      tokens.put(token.secret(), new Caller(token.name(), role));
    }
    return tokens.isEmpty() ? AccessControl.local() : AccessControl.tokens(tokens);
  }

  private static boolean reading(RoutingContext request) {
    HttpMethod method = request.request().method();
    return method.equals(HttpMethod.GET) || method.equals(HttpMethod.HEAD);
  }

  private void measured(RoutingContext request) {
    long begin = System.nanoTime();
    request.addEndHandler(
        ended ->
            metrics.request(
                request.request().method().name(),
                request.response().getStatusCode(),
                Duration.ofNanos(System.nanoTime() - begin)));
    request.next();
  }

  /** Who the caller is, so that a page can show only what they may do. */
  private static void session(RoutingContext request, AccessControl access) {
    Caller caller = AccessControl.caller(request);
    Map<String, Object> body = new LinkedHashMap<>();
    body.put("name", caller.name());
    body.put("role", caller.role());
    body.put("tokensRequired", access.needsToken());
    send(request, ApiJson.bytes(body));
  }

  private void health(RoutingContext request) {
    reading
        .executeBlocking(() -> ApiJson.bytes(healthView()), false)
        .onSuccess(body -> send(request, body))
        .onFailure(request::fail);
  }

  private HealthView healthView() {
    metrics.refresh();
    return HealthView.of(health.results(), metrics.registry());
  }

  private static void send(RoutingContext request, byte[] json) {
    request
        .response()
        .putHeader("Content-Type", "application/json")
        .putHeader("Cache-Control", "no-store")
        .end(Buffer.buffer(json));
  }

  private static void failed(RoutingContext request) {
    Throwable cause = request.failure();
    if (cause instanceof BadRequest refusal) {
      Problem.of(400, refusal.getMessage()).send(request);
    } else if (cause == null) {
      Problem.of(request.statusCode(), "see /openapi.json for what is served").send(request);
    } else {
      Problem.of(cause).send(request);
    }
  }
}
