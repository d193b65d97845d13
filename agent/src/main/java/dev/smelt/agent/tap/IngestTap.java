package dev.smelt.agent.tap;

import dev.smelt.agent.statistics.LiveMoments;
import dev.smelt.agent.statistics.StatisticsException;
import dev.smelt.streams.usage.Usage;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.WorkerExecutor;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.file.OpenOptions;
import io.vertx.core.http.HttpHeaders;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.json.JsonObject;
import io.vertx.core.streams.Pipe;
import io.vertx.ext.web.Router;
import io.vertx.ext.web.RoutingContext;
import io.vertx.ext.web.handler.HttpException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;

/**
 * The route {@code POST /v1/tap/{model}}, to which hooks inside engines and replays of recorded
 * traces post what routers decided, in the forms of {@link UploadedUsage}, and {@code POST
 * /v1/tap/{model}/moments}, to which hooks post second moments in the form of {@link
 * dev.smelt.agent.statistics.MomentsFile}.
 *
 * <p>Failure semantics: a body is taken as a whole or not at all. Bodies go to temporary files, so
 * that they hold no heap while they arrive; their number of bytes is bounded one by one (413) and
 * together (429 with {@code Retry-After}). A client that goes away leaves nothing behind.
 */
public final class IngestTap implements AutoCloseable {

  /** Largest body, in bytes. */
  public static final long LARGEST_BODY = 64L << 20;

  private static final long MOST_BYTES = 4 * LARGEST_BODY;
  private static final int READERS = 2;
  private static final String BUSY_SECONDS = "1";

  private final Vertx vertx;
  private final WorkerExecutor reading;
  private final Map<String, Reading> usage = new TreeMap<>();
  private final Map<String, Reading> moments = new TreeMap<>();
  private final AtomicLong arriving = new AtomicLong();
  private final Counter taken;
  private final Counter refused;
  private final Counter busy;
  private final Counter tokens;
  private final Counter momentsTokens;

  /** Where the usage of a model goes. */
  private record Target(TappedModel model, Combiner combiner, Supplier<String> servedSnapshot) {}

  /** Takes in a body that has arrived and tells how many tokens it is of. */
  private interface Reading {
    long read(Path body);
  }

  public IngestTap(Vertx vertx, MeterRegistry metrics) {
    this.vertx = vertx;
    reading = vertx.createSharedWorkerExecutor("smelt-ingest", READERS, 1, TimeUnit.MINUTES);
    taken = metrics.counter("smelt_ingest_bodies", "outcome", "taken");
    refused = metrics.counter("smelt_ingest_bodies", "outcome", "refused");
    busy = metrics.counter("smelt_ingest_bodies", "outcome", "busy");
    tokens = metrics.counter("smelt_ingest_tokens");
    momentsTokens = metrics.counter("smelt_ingest_moments_tokens");
  }

  /**
   * Takes usage of one more model; to be called before {@link #mount}.
   *
   * @param combiner takes the usage; whoever made it keeps it ticking
   * @param servedSnapshot the id of the snapshot that the engine serves at the moment
   */
  public void take(TappedModel model, Combiner combiner, Supplier<String> servedSnapshot) {
    usage.put(model.name(), body -> addUsage(body, new Target(model, combiner, servedSnapshot)));
  }

  /** Takes second moments of one more model; to be called before {@link #mount}. */
  public void takeMoments(String model, LiveMoments live) {
    moments.put(model, body -> Math.round(live.add(body)));
  }

  /** Adds the routes. */
  public void mount(Router router) {
    router.post("/v1/tap/:model").handler(context -> receive(context, usage, tokens));
    router
        .post("/v1/tap/:model/moments")
        .handler(context -> receive(context, moments, momentsTokens));
  }

  @Override
  public void close() {
    reading.close().await();
  }

  private void receive(RoutingContext context, Map<String, Reading> models, Counter counter) {
    Reading model = models.get(context.pathParam("model"));
    if (model == null) {
      refuse(
          context,
          404,
          "no model is called '%s'; this agent looks after %s"
              .formatted(context.pathParam("model"), models.keySet()));
      return;
    }
    long bytes = length(context.request());
    if (bytes < 0) {
      refuse(context, 411, "send the header Content-Length; bodies of unknown length are not read");
    } else if (bytes > LARGEST_BODY) {
      refuse(
          context,
          413,
          "%d bytes are more than the %d that are read at once; post in smaller parts"
              .formatted(bytes, LARGEST_BODY));
    } else if (arriving.addAndGet(bytes) > MOST_BYTES) {
      arriving.addAndGet(-bytes);
      busy.increment();
      context.response().putHeader(HttpHeaders.RETRY_AFTER, BUSY_SECONDS);
      context.fail(new HttpException(429, "too much is being posted at once; try again later"));
    } else {
      store(context.request())
          .compose(body -> reading.executeBlocking(() -> add(body, model), false))
          .onComplete(done -> arriving.addAndGet(-bytes))
          .onSuccess(
              added -> {
                taken.increment();
                counter.increment(added);
                context.json(new JsonObject().put("tokens", added));
              })
          .onFailure(failure -> failed(context, failure));
    }
  }

  private static long addUsage(Path body, Target target) {
    Map<String, Usage> usage = UploadedUsage.read(body, target.model());
    target.combiner().add(usage, target.servedSnapshot().get());
    return usage.values().stream().mapToLong(Usage::tokens).max().orElse(0);
  }

  /** Takes in what a file says, deletes it, and tells the number of tokens. */
  private static long add(Path body, Reading model) throws IOException {
    try {
      return model.read(body);
    } catch (StatisticsException refused) {
      throw new StatisticsException(
          String.valueOf(refused.getMessage()).replace(body.toString(), "the body"));
    } finally {
      Files.deleteIfExists(body);
    }
  }

  private Future<Path> store(HttpServerRequest request) {
    Pipe<Buffer> pipe = request.pipe();
    return vertx
        .fileSystem()
        .createTempFile("smelt-ingest", ".safetensors")
        .compose(
            path ->
                vertx
                    .fileSystem()
                    .open(path, new OpenOptions().setRead(false))
                    .compose(pipe::to)
                    .map(Path.of(path))
                    .recover(
                        failure ->
                            vertx
                                .fileSystem()
                                .delete(path)
                                .transform(gone -> Future.failedFuture(failure))));
  }

  private void failed(RoutingContext context, Throwable failure) {
    if (failure instanceof StatisticsException) {
      refuse(context, 400, String.valueOf(failure.getMessage()));
    } else if (!context.response().closed()) {
      context.fail(failure);
    }
  }

  private void refuse(RoutingContext context, int status, String reason) {
    refused.increment();
    context.fail(new HttpException(status, reason));
  }

  /** What the request says is the length of its body in bytes, negative where it does not. */
  private static long length(HttpServerRequest request) {
    String length = request.getHeader(HttpHeaders.CONTENT_LENGTH);
    try {
      return length == null ? -1 : Long.parseLong(length);
    } catch (NumberFormatException none) {
      return -1;
    }
  }
}
