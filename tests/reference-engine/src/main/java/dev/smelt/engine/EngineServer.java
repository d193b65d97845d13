package dev.smelt.engine;

import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.WorkerExecutor;
import io.vertx.core.http.HttpServer;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import io.vertx.ext.web.Router;
import io.vertx.ext.web.handler.BodyHandler;
import java.time.Clock;
import java.util.Optional;

/** The engine's HTTP server. */
final class EngineServer {

  private static final int MOST_UNFINISHED = 1024;
  private static final long MOST_BODY_BYTES = 4 << 20;

  private final HttpServer server;

  private EngineServer(HttpServer server) {
    this.server = server;
  }

  /** The port that it listens on. */
  int port() {
    return server.actualPort();
  }

  /**
   * Starts serving.
   *
   * @return fails if the address can't be listened on
   */
  static Future<EngineServer> start(
      Vertx vertx, EngineOptions options, ServedWeights weights, Clock clock) {
    Serving serving = new Serving(weights);
    Admission admission = new Admission(MOST_UNFINISHED);
    WorkerExecutor workers = vertx.createSharedWorkerExecutor("inference", options.workers());
    WorkerExecutor loader = vertx.createSharedWorkerExecutor("loading", 1);
    Optional<TraceSender> traces =
        options.tap().map(tap -> new TraceSender(vertx, tap, options.model()));
    Optional<MomentsSender> moments =
        options.momentsTap().map(tap -> MomentsSender.start(vertx, tap, options));
    Router router = Router.router(vertx);
    router.route().handler(BodyHandler.create(false).setBodyLimit(MOST_BODY_BYTES));
    router.get("/health").handler(context -> context.end());
    router
        .get("/v1/models")
        .handler(context -> context.json(models(options, serving.current(), clock)));
    new CompletionRoutes(options, serving, admission, workers, traces, moments, clock)
        .addTo(router);
    new ControlRoutes(options, serving, admission, loader).addTo(router);
    router.route().failureHandler(Failures::answer);
    router.errorHandler(404, Failures::answer);
    router.errorHandler(405, Failures::answer);
    return vertx
        .createHttpServer()
        .requestHandler(router)
        .listen(options.port(), options.host())
        .map(EngineServer::new);
  }

  private static JsonObject models(EngineOptions options, ServedWeights weights, Clock clock) {
    return new JsonObject()
        .put("object", "list")
        .put(
            "data",
            new JsonArray()
                .add(
                    new JsonObject()
                        .put("id", options.model())
                        .put("object", "model")
                        .put("created", clock.instant().getEpochSecond())
                        .put("owned_by", "smelt")
                        .put("root", weights.folder().toString())
                        .put("weight_version", weights.version())
                        .put("max_model_len", weights.model().maxPositions())));
  }
}
