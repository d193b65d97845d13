package dev.smelt.engine;

import io.vertx.core.Future;
import io.vertx.core.WorkerExecutor;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import io.vertx.ext.web.Router;
import io.vertx.ext.web.RoutingContext;
import java.nio.file.Path;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The routes that pause the engine, change its weights and let it go on, in SGLang's and vLLM's
 * forms.
 *
 * <p>Unlike those engines this one never mixes weights within a request: in whatever mode it is
 * paused, requests that run go on with the weights they began with, unless the mode aborts them.
 */
final class ControlRoutes {

  private static final Logger LOG = LoggerFactory.getLogger(ControlRoutes.class);

  private final EngineOptions options;
  private final Serving serving;
  private final Admission admission;
  private final WorkerExecutor loader;

  ControlRoutes(
      EngineOptions options, Serving serving, Admission admission, WorkerExecutor loader) {
    this.options = options;
    this.serving = serving;
    this.admission = admission;
    this.loader = loader;
  }

  void addTo(Router router) {
    if (options.dialect().sglang()) {
      router.post("/pause_generation").handler(this::pauseGeneration);
      router.post("/continue_generation").handler(this::continueGeneration);
      router.post("/update_weights_from_disk").handler(this::updateWeightsFromDisk);
      router.post("/flush_cache").handler(context -> context.end("Cache flushed.\n"));
      router.post("/weights_checker").handler(this::checkWeights);
      router.get("/get_model_info").handler(this::modelInfo);
      router.get("/model_info").handler(this::modelInfo);
    }
    if (options.dialect().vllm()) {
      router.post("/pause").handler(this::pause);
      router.post("/resume").handler(this::resume);
      router
          .get("/is_paused")
          .handler(context -> context.json(new JsonObject().put("is_paused", admission.paused())));
      router.post("/collective_rpc").handler(this::collectiveRpc);
      router.get("/server_info").handler(this::serverInfo);
      // Nothing is cached from one request to the next.
      router.post("/reset_prefix_cache").handler(RoutingContext::end);
    }
  }

  private void pauseGeneration(RoutingContext context) {
    String mode = JsonBody.of(context).getString("mode", "abort");
    switch (mode) {
      case "abort" -> {
        admission.pause();
        admission.abort();
      }
      case "retract", "in_place" -> admission.pause();
      default -> throw RequestException.invalid("mode", "has to be abort, retract or in_place");
    }
    context.json(
        new JsonObject().put("status", "ok").put("message", "Generation paused successfully."));
  }

  private void continueGeneration(RoutingContext context) {
    admission.resume();
    context.json(
        new JsonObject().put("status", "ok").put("message", "Generation continued successfully."));
  }

  private void updateWeightsFromDisk(RoutingContext context) {
    JsonObject body = JsonBody.of(context);
    String path = text(body, "model_path");
    if (Boolean.TRUE.equals(body.getValue("abort_all_requests"))) {
      admission.abort();
    }
    int paused = admission.paused() ? admission.unfinished() : 0;
    swap(path, Optional.ofNullable(body.getString("weight_version")))
        .onSuccess(
            weights ->
                context.json(
                    updated(true, "Succeeded to update model weights.", paused)
                        .put("weight_version", weights.version())))
        .onFailure(
            failure ->
                context
                    .response()
                    .setStatusCode(400)
                    .putHeader("content-type", "application/json")
                    .end(updated(false, Failures.message(failure), paused).encode()));
  }

  private static JsonObject updated(boolean success, String message, int paused) {
    return new JsonObject()
        .put("success", success)
        .put("message", message)
        .put("num_paused_requests", paused);
  }

  private void checkWeights(RoutingContext context) {
    String action = text(JsonBody.of(context), "action");
    if (!action.equals("checksum")) {
      throw RequestException.invalid("action", "only checksum is offered");
    }
    ServedWeights weights = serving.current();
    context.json(
        new JsonObject()
            .put("success", true)
            .put("message", "Success")
            .put("checksum", weights.checksum())
            .put("weight_version", weights.version()));
  }

  private void modelInfo(RoutingContext context) {
    ServedWeights weights = serving.current();
    context.json(
        new JsonObject()
            .put("model_path", weights.folder().toString())
            .put("tokenizer_path", weights.folder().toString())
            .put("is_generation", true)
            .put("weight_version", weights.version())
            .put("served_model_name", options.model()));
  }

  private void pause(RoutingContext context) {
    String mode = context.queryParams().get("mode");
    switch (mode == null ? "abort" : mode) {
      case "abort" -> {
        admission.pause();
        admission.abort();
        drainThenAnswerPaused(context);
      }
      case "wait" -> {
        admission.pause();
        drainThenAnswerPaused(context);
      }
      case "keep" -> {
        admission.pause();
        context.json(new JsonObject().put("status", "paused"));
      }
      default -> throw RequestException.invalid("mode", "has to be abort, wait or keep");
    }
  }

  private void drainThenAnswerPaused(RoutingContext context) {
    admission
        .drained()
        .onSuccess(drained -> context.json(new JsonObject().put("status", "paused")));
  }

  private void resume(RoutingContext context) {
    admission.resume();
    context.json(new JsonObject().put("status", "resumed"));
  }

  private void serverInfo(RoutingContext context) {
    context.json(
        new JsonObject()
            .put(
                "vllm_config",
                new JsonObject()
                    .put(
                        "model_config",
                        new JsonObject().put("model", serving.current().folder().toString()))
                    .put("parallel_config", new JsonObject().put("enable_eplb", false))));
  }

  private void collectiveRpc(RoutingContext context) {
    JsonObject body = JsonBody.of(context);
    String method = text(body, "method");
    if (!method.equals("reload_weights")) {
      throw RequestException.invalid("method", "only reload_weights is offered");
    }
    String path = text(body.getJsonObject("kwargs", new JsonObject()), "weights_path");
    swap(path, Optional.empty())
        .onSuccess(
            weights -> context.json(new JsonObject().put("results", new JsonArray().addNull())))
        .onFailure(
            failure -> context.fail(RequestException.status(500, Failures.message(failure))));
  }

  private Future<ServedWeights> swap(String path, Optional<String> version) {
    return loader
        .executeBlocking(() -> serving.swap(Path.of(path), version))
        .onSuccess(
            weights ->
                LOG.atInfo()
                    .addKeyValue("folder", weights.folder())
                    .addKeyValue("version", weights.version())
                    .addKeyValue("expertBytes", weights.model().expertBytes())
                    .log("Weights exchanged"))
        .onFailure(
            failure ->
                LOG.atWarn()
                    .addKeyValue("folder", path)
                    .addKeyValue("reason", Failures.message(failure))
                    .log("Weights not exchanged"));
  }

  private static String text(JsonObject body, String name) {
    if (body.getValue(name) instanceof String text && !text.isEmpty()) {
      return text;
    }
    throw RequestException.invalid(name, "has to be a text");
  }
}
