package dev.smelt.engine;

import dev.smelt.agent.inference.ExpertBatch;
import dev.smelt.agent.inference.ForwardObserver;
import dev.smelt.agent.inference.Routing;
import dev.smelt.agent.inference.RoutingRecording;
import io.vertx.core.Future;
import io.vertx.core.WorkerExecutor;
import io.vertx.core.json.JsonObject;
import io.vertx.ext.web.Router;
import io.vertx.ext.web.RoutingContext;
import java.time.Clock;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/** The routes that generate: OpenAI's {@code /v1/completions} and SGLang's {@code /generate}. */
final class CompletionRoutes {

  /** Header of each answer that names the weights which gave it. */
  static final String WEIGHT_VERSION = "x-weight-version";

  private final EngineOptions options;
  private final Serving serving;
  private final Admission admission;
  private final WorkerExecutor workers;
  private final Optional<TraceSender> traces;
  private final Optional<MomentsSender> moments;
  private final Clock clock;
  private final AtomicLong ids = new AtomicLong();

  CompletionRoutes(
      EngineOptions options,
      Serving serving,
      Admission admission,
      WorkerExecutor workers,
      Optional<TraceSender> traces,
      Optional<MomentsSender> moments,
      Clock clock) {
    this.options = options;
    this.serving = serving;
    this.admission = admission;
    this.workers = workers;
    this.traces = traces;
    this.moments = moments;
    this.clock = clock;
  }

  void addTo(Router router) {
    router
        .post("/v1/completions")
        .handler(
            context -> {
              JsonObject body = JsonBody.of(context);
              CompletionRequest request = CompletionRequest.openAi(body);
              requireModel(body);
              if (request.stream()) {
                stream(context, request);
              } else {
                answer(context, request);
              }
            });
    if (options.dialect().sglang()) {
      router
          .post("/generate")
          .handler(context -> generate(context, CompletionRequest.sglang(JsonBody.of(context))));
    }
  }

  private void requireModel(JsonObject body) {
    Object model = body.getValue("model");
    if (model != null && !model.equals(options.model())) {
      throw RequestException.status(
          404, "the model " + model + " does not exist, this engine serves " + options.model());
    }
  }

  private void answer(RoutingContext context, CompletionRequest request) {
    run(context, request, Listener.NONE)
        .onSuccess(
            finished -> {
              Started run = finished.run;
              JsonObject choice = Answers.choice(request, finished.completion);
              if (options.dialect().vllm() && options.routedExperts()) {
                choice.put("routed_experts", run.experts.npy());
              }
              addExtension(request, run, choice);
              send(
                  context,
                  run.weights,
                  Answers.completion(run.id, run.created, options.model(), run.weights, choice)
                      .put("usage", Answers.usage(request, finished.completion)));
            })
        .onFailure(context::fail);
  }

  private void generate(RoutingContext context, CompletionRequest request) {
    long start = System.nanoTime();
    run(context, request, Listener.NONE)
        .onSuccess(
            finished -> {
              Started run = finished.run;
              double seconds = (System.nanoTime() - start) / 1e9;
              JsonObject answer =
                  Answers.generated(run.id, run.weights, request, finished.completion, seconds);
              if (request.routedExperts()) {
                answer
                    .getJsonObject("meta_info")
                    .put("routed_experts", run.experts.raw(request.routedExpertsStart()));
              }
              send(context, run.weights, answer);
            })
        .onFailure(context::fail);
  }

  private void addExtension(CompletionRequest request, Started run, JsonObject choice) {
    if (options.dialect().sglang() && request.routedExperts()) {
      choice.put(
          "sgl_ext",
          new JsonObject().put("routed_experts", run.experts.raw(request.routedExpertsStart())));
    }
  }

  private static void send(RoutingContext context, ServedWeights weights, JsonObject answer) {
    if (!context.response().closed()) {
      context.response().putHeader(WEIGHT_VERSION, weights.version());
      context.json(answer);
    }
  }

  /** Every chunk is whole characters: a character appears when its last byte has been generated. */
  private void stream(RoutingContext context, CompletionRequest request) {
    EventStream events = new EventStream(context.vertx().getOrCreateContext(), context.response());
    ByteText text = new ByteText();
    Listener listener =
        new Listener() {
          @Override
          public void started(Started run) {
            events.begin(run.weights.version());
            if (request.echo()) {
              events.send(chunk(run, Answers.promptText(request), null));
            }
          }

          @Override
          public void generated(Started run, int token) {
            String characters = text.append(token);
            if (!characters.isEmpty()) {
              events.send(chunk(run, characters, null));
            }
          }
        };
    run(context, request, listener)
        .onSuccess(
            finished -> {
              Started run = finished.run;
              JsonObject last = chunk(run, text.end(), finished.completion.finish().label());
              addExtension(request, run, last.getJsonArray("choices").getJsonObject(0));
              events.send(last);
              if (request.streamUsage()) {
                events.send(
                    Answers.usageChunk(
                        run.id,
                        run.created,
                        options.model(),
                        run.weights,
                        Answers.usage(request, finished.completion)));
              }
              events.end();
            })
        .onFailure(failure -> events.fail(() -> context.fail(failure)));
  }

  private JsonObject chunk(Started run, String text, @Nullable String finish) {
    return Answers.chunk(run.id, run.created, options.model(), run.weights, text, finish);
  }

  /** A request that has got its weights. */
  private record Started(String id, long created, ServedWeights weights, RoutedExperts experts) {}

  private record Finished(Started run, Completion completion) {}

  /** Hears how a request gets on, on the thread that calculates it. */
  private interface Listener {

    Listener NONE = new Listener() {};

    default void started(Started run) {}

    default void generated(Started run, int token) {}
  }

  private Future<Finished> run(
      RoutingContext context, CompletionRequest request, Listener listener) {
    request.requireFits(serving.current().model().config());
    AtomicBoolean gone = new AtomicBoolean();
    context.response().closeHandler(closed -> gone.set(true));
    return admission
        .enter()
        .compose(
            admitted -> {
              int aborts = admission.aborts();
              ServedWeights weights = serving.current();
              return workers
                  .executeBlocking(
                      () ->
                          calculate(
                              weights,
                              request,
                              () -> gone.get() || admission.aborts() != aborts,
                              listener),
                      false)
                  .onComplete(done -> admission.leave());
            });
  }

  private Finished calculate(
      ServedWeights weights,
      CompletionRequest request,
      BooleanSupplier aborted,
      Listener listener) {
    RoutedExperts experts = new RoutedExperts(weights.model());
    Started run =
        new Started(
            "cmpl-" + ids.incrementAndGet(), clock.instant().getEpochSecond(), weights, experts);
    listener.started(run);
    Optional<RoutingRecording> trace = traces.map(sender -> new RoutingRecording(weights.model()));
    Optional<InputsRecording> inputs = moments.flatMap(MomentsSender::recording);
    ForwardObserver observer = experts;
    if (trace.isPresent()) {
      observer = both(observer, trace.get());
    }
    if (inputs.isPresent()) {
      observer = both(observer, inputs.get());
    }
    Completion completion = generation(weights, request, observer, aborted, run, listener);
    trace.ifPresent(recording -> traces.orElseThrow().add(recording));
    inputs.ifPresent(recording -> moments.orElseThrow().add(recording));
    return new Finished(run, completion);
  }

  private static Completion generation(
      ServedWeights weights,
      CompletionRequest request,
      ForwardObserver observer,
      BooleanSupplier aborted,
      Started run,
      Listener listener) {
    return new Generation(weights.model(), request, observer, aborted)
        .run(token -> listener.generated(run, token));
  }

  private static ForwardObserver both(ForwardObserver first, ForwardObserver second) {
    return new ForwardObserver() {
      @Override
      public void routed(Routing routing) {
        first.routed(routing);
        second.routed(routing);
      }

      @Override
      public void calculated(ExpertBatch batch) {
        first.calculated(batch);
        second.calculated(batch);
      }
    };
  }
}
