package dev.smelt.agent.api;

import dev.smelt.agent.control.ModelControl;
import dev.smelt.agent.control.ModelControl.Outcome;
import dev.smelt.agent.control.ModelControl.Request;
import dev.smelt.agent.control.Signal;
import dev.smelt.store.http.AccessControl;
import dev.smelt.store.http.Problem;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import io.vertx.core.WorkerExecutor;
import io.vertx.core.buffer.Buffer;
import io.vertx.ext.web.Router;
import io.vertx.ext.web.RoutingContext;
import io.vertx.ext.web.handler.BodyHandler;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletionStage;

/** What each loop shows and what it can be asked, under {@code /v1/models}. */
final class ModelRoutes {

  private static final int LARGEST_BODY = 16 << 10;
  private static final int MOST_DRIFT = 5_000;
  private static final int MOST_JOURNAL = 1_000;
  private static final Duration PATIENCE = Duration.ofSeconds(30);

  private final Vertx vertx;
  private final Map<String, ModelControl> models = new LinkedHashMap<>();
  private final WorkerExecutor reading;

  ModelRoutes(Vertx vertx, List<ModelControl> models, WorkerExecutor reading) {
    this.vertx = vertx;
    this.reading = reading;
    models.forEach(model -> this.models.put(model.model(), model));
  }

  void mount(Router router) {
    router
        .get("/v1/models")
        .handler(
            request ->
                answer(
                    request,
                    () ->
                        Map.of(
                            "models",
                            models.values().stream().map(ModelControl::status).toList())));
    read(router, "", (model, request) -> model.status());
    read(router, "/traffic", (model, request) -> Map.of("blocks", model.traffic()));
    read(
        router,
        "/drift",
        (model, request) -> Map.of("points", model.drift(most(request, 360, MOST_DRIFT))));
    read(
        router,
        "/journal",
        (model, request) -> Map.of("entries", model.journal(most(request, 100, MOST_JOURNAL))));
    ask(router, "remerge", (model, body, by) -> model.remerge(by));
    ask(router, "approve", (model, body, by) -> model.approve(by));
    ask(router, "reject", (model, body, by) -> model.reject(by));
    ask(router, "pause", (model, body, by) -> model.pause(by));
    ask(router, "resume", (model, body, by) -> model.resume(by));
    ask(
        router,
        "activate",
        (model, body, by) ->
            model.activate(
                body.snapshotId()
                    .orElseThrow(() -> new BadRequest("name the snapshot in 'snapshot'")),
                by));
    ask(router, "rollback", (model, body, by) -> model.rollback(body.snapshotId(), by));
    router
        .post("/v1/models/:model/signal")
        .handler(BodyHandler.create(false).setBodyLimit(LARGEST_BODY))
        .handler(ModelRoutes::jsonOnly)
        .handler(this::signal);
  }

  private void signal(RoutingContext request) {
    ModelControl model = models.get(request.pathParam("model"));
    if (model == null) {
      unknownModel(request);
      return;
    }
    Signal signal = SignalRequest.parse(body(request));
    try {
      model.signal(signal);
    } catch (IllegalArgumentException e) {
      throw new BadRequest(String.valueOf(e.getMessage()));
    }
    tell(request, 200, "done", "the canary compares it with the time before");
  }

  private static byte[] body(RoutingContext request) {
    Buffer bytes = request.body().buffer();
    return bytes == null ? new byte[0] : bytes.getBytes();
  }

  private void read(Router router, String what, Reading view) {
    router
        .get("/v1/models/:model" + what)
        .handler(
            request -> {
              ModelControl model = models.get(request.pathParam("model"));
              if (model == null) {
                unknownModel(request);
              } else {
                answer(request, () -> view.of(model, request));
              }
            });
  }

  private void answer(RoutingContext request, Callable<Object> view) {
    reading
        .executeBlocking(() -> ApiJson.bytes(view.call()), false)
        .onSuccess(
            json ->
                request
                    .response()
                    .putHeader("Content-Type", "application/json")
                    .putHeader("Cache-Control", "no-store")
                    .end(Buffer.buffer(json)))
        .onFailure(request::fail);
  }

  private void ask(Router router, String what, Asking action) {
    router
        .post("/v1/models/:model/" + what)
        .handler(BodyHandler.create(false).setBodyLimit(LARGEST_BODY))
        .handler(ModelRoutes::jsonOnly)
        .handler(
            request -> {
              ModelControl model = models.get(request.pathParam("model"));
              if (model == null) {
                unknownModel(request);
                return;
              }
              OperatorRequest body = OperatorRequest.parse(body(request));
              Request by =
                  new Request(
                      AccessControl.caller(request).name(),
                      body.why(),
                      Optional.ofNullable(request.request().getHeader("Idempotency-Key")));
              outcome(() -> action.of(model, body, by))
                  .onSuccess(outcome -> tell(request, outcome))
                  .onFailure(request::fail);
            });
  }

  /** Waits for the outcome for {@link #PATIENCE}; work that takes longer goes on by itself. */
  private Future<Optional<Outcome>> outcome(Callable<CompletionStage<Outcome>> asking) {
    Promise<Optional<Outcome>> promise = Promise.promise();
    long timer = vertx.setTimer(PATIENCE.toMillis(), late -> promise.tryComplete(Optional.empty()));
    reading
        .executeBlocking(asking, false)
        .compose(Future::fromCompletionStage)
        .onComplete(
            result -> {
              vertx.cancelTimer(timer);
              if (result.succeeded()) {
                promise.tryComplete(Optional.of(result.result()));
              } else {
                promise.tryFail(result.cause());
              }
            });
    return promise.future();
  }

  private static void tell(RoutingContext request, Optional<Outcome> outcome) {
    if (outcome.isEmpty()) {
      tell(request, 202, "working", "still being worked on; the journal will tell the outcome");
    } else if (outcome.get() instanceof Outcome.Done done) {
      tell(request, 200, "done", done.message());
    } else if (outcome.get() instanceof Outcome.Refused refused) {
      Problem.of(409, refused.message()).send(request);
    } else {
      Problem.of(502, outcome.get().message()).send(request);
    }
  }

  private static void tell(RoutingContext request, int status, String outcome, String message) {
    Map<String, String> body = new LinkedHashMap<>();
    body.put("outcome", outcome);
    body.put("message", message);
    request
        .response()
        .setStatusCode(status)
        .putHeader("Content-Type", "application/json")
        .putHeader("Cache-Control", "no-store")
        .end(Buffer.buffer(ApiJson.bytes(body)));
  }

  private static void jsonOnly(RoutingContext request) {
    String type = request.request().getHeader("Content-Type");
    if (type == null || !type.split(";", 2)[0].strip().equalsIgnoreCase("application/json")) {
      Problem.of(415, "send the body as JSON, with Content-Type application/json").send(request);
    } else {
      request.next();
    }
  }

  private void unknownModel(RoutingContext request) {
    Problem.of(
            404,
            "no model is called '"
                + request.pathParam("model")
                + "'; this agent looks after "
                + models.keySet())
        .send(request);
  }

  private static int most(RoutingContext request, int fallback, int largest) {
    List<String> given = request.queryParam("most");
    if (given.isEmpty()) {
      return fallback;
    }
    try {
      int most = Integer.parseInt(given.get(0));
      if (most >= 1 && most <= largest) {
        return most;
      }
    } catch (NumberFormatException e) {
      // refused below, as a number out of range is
    }
    throw new BadRequest("'most' must be a number from 1 to " + largest);
  }

  @FunctionalInterface
  private interface Reading {
    Object of(ModelControl model, RoutingContext request);
  }

  @FunctionalInterface
  private interface Asking {
    CompletionStage<Outcome> of(ModelControl model, OperatorRequest body, Request by);
  }
}
