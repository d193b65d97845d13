package dev.smelt.engine;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.statistics.BlockMoments;
import dev.smelt.agent.statistics.MomentsFile;
import dev.smelt.agent.statistics.OriginalMoments;
import dev.smelt.store.checkpoint.Checkpoint;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.WorkerExecutor;
import io.vertx.core.buffer.Buffer;
import io.vertx.ext.web.client.WebClient;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Measures, on a share of the requests, the second moments that the first weights' experts would
 * have, whatever weights serve, and sends them to an agent from time to time, as an engine-side
 * hook would. A thread of its own calculates them.
 *
 * <p>Failure semantics: requests that end while too many wait are left out, and what an agent does
 * not take is dropped with a line in the log; serving does not notice.
 */
final class MomentsSender {

  private static final Logger LOG = LoggerFactory.getLogger(MomentsSender.class);
  private static final long PERIOD_MILLIS = 2_000;
  private static final int MOST_WAITING_TOKENS = 1 << 14;

  private final WebClient client;
  private final WorkerExecutor thread;
  private final URI target;
  private final String model;
  private final double share;
  private final OriginalMoments moments;
  private final AtomicInteger waitingTokens = new AtomicInteger();

  private MomentsSender(Vertx vertx, URI tap, String model, double share, OriginalMoments moments) {
    this.client = WebClient.create(vertx);
    this.thread = vertx.createSharedWorkerExecutor("moments", 1);
    this.target = tap.resolve("/v1/tap/" + model + "/moments");
    this.model = model;
    this.share = share;
    this.moments = moments;
  }

  /**
   * Starts to send.
   *
   * @param tap base address of the agent
   */
  static MomentsSender start(Vertx vertx, URI tap, EngineOptions options) {
    OriginalMoments moments =
        new OriginalMoments(Compute.cpu(), Checkpoint.open(options.checkpoint()));
    MomentsSender sender =
        new MomentsSender(vertx, tap, options.model(), options.momentsShare(), moments);
    vertx.setTimer(PERIOD_MILLIS, first -> sender.sendForEver(vertx));
    return sender;
  }

  /** What is to watch the next request, if it is to be measured. */
  Optional<InputsRecording> recording() {
    return ThreadLocalRandom.current().nextDouble() < share
        ? Optional.of(new InputsRecording())
        : Optional.empty();
  }

  /** Takes what a finished request has shown, unless too many wait. */
  void add(InputsRecording recording) {
    int tokens = recording.tokens();
    if (waitingTokens.addAndGet(tokens) > MOST_WAITING_TOKENS) {
      waitingTokens.addAndGet(-tokens);
      return;
    }
    thread
        .executeBlocking(
            () -> {
              recording.addTo(moments);
              return tokens;
            })
        .onComplete(done -> waitingTokens.addAndGet(-tokens))
        .onFailure(failure -> LOG.atWarn().setCause(failure).log("Moments not calculated"));
  }

  private void sendForEver(Vertx vertx) {
    send().onComplete(done -> vertx.setTimer(PERIOD_MILLIS, next -> sendForEver(vertx)));
  }

  private Future<Void> send() {
    return thread
        .executeBlocking(moments::take)
        .compose(
            taken ->
                taken.isEmpty()
                    ? Future.succeededFuture()
                    : thread.executeBlocking(() -> encode(taken)).compose(this::post));
  }

  private Future<Void> post(Buffer body) {
    return client
        .postAbs(target.toString())
        .putHeader("content-type", "application/octet-stream")
        .sendBuffer(body)
        .transform(
            answer -> {
              if (answer.failed()) {
                LOG.atWarn()
                    .addKeyValue("tap", target)
                    .setCause(answer.cause())
                    .log("Moments dropped");
              } else if (answer.result().statusCode() >= 300) {
                LOG.atWarn()
                    .addKeyValue("tap", target)
                    .addKeyValue("status", answer.result().statusCode())
                    .addKeyValue("answer", answer.result().bodyAsString())
                    .log("Moments refused");
              }
              return Future.succeededFuture();
            });
  }

  private Buffer encode(List<BlockMoments> taken) {
    try {
      Path folder = Files.createTempDirectory("smelt-moments");
      Path file = folder.resolve("posted.moments.safetensors");
      try {
        MomentsFile.write(file, model, taken);
        return Buffer.buffer(Files.readAllBytes(file));
      } finally {
        Files.deleteIfExists(file);
        Files.delete(folder);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
