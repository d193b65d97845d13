package dev.smelt.engine;

import dev.smelt.agent.inference.RoutingRecording;
import dev.smelt.store.safetensors.SafetensorsWriter;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.ext.web.client.WebClient;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Sends what the routers decided, logits included, to a tap, as an engine-side hook would: from
 * time to time, all of it together.
 *
 * <p>Failure semantics: what a tap does not take is dropped and the loss is logged; serving does
 * not notice.
 */
final class TraceSender {

  private static final Logger LOG = LoggerFactory.getLogger(TraceSender.class);
  private static final long PERIOD_MILLIS = 250;
  private static final int MOST_WAITING_TOKENS = 1 << 16;

  private final Vertx vertx;
  private final WebClient client;
  private final URI target;
  private final String model;
  private List<RoutingRecording> waiting = new ArrayList<>();
  private int waitingTokens;
  private boolean sending;

  /**
   * @param tap base address of the agent
   */
  TraceSender(Vertx vertx, URI tap, String model) {
    this.vertx = vertx;
    this.client = WebClient.create(vertx);
    this.target = tap.resolve("/v1/tap/" + model);
    this.model = model;
    vertx.setPeriodic(PERIOD_MILLIS, tick -> send());
  }

  /** Takes a finished request's decisions, unless so many wait that a tap would refuse them. */
  synchronized void add(RoutingRecording recording) {
    int tokens = recording.tokens();
    if (tokens > 0 && waitingTokens + tokens <= MOST_WAITING_TOKENS) {
      waiting.add(recording);
      waitingTokens += tokens;
    }
  }

  private synchronized List<RoutingRecording> take() {
    if (sending || waiting.isEmpty()) {
      return List.of();
    }
    sending = true;
    List<RoutingRecording> taken = waiting;
    waiting = new ArrayList<>();
    waitingTokens = 0;
    return taken;
  }

  private synchronized void sent() {
    sending = false;
  }

  private void send() {
    List<RoutingRecording> taken = take();
    if (taken.isEmpty()) {
      return;
    }
    vertx
        .executeBlocking(() -> encode(taken))
        .compose(
            body ->
                client
                    .postAbs(target.toString())
                    .putHeader("content-type", "application/octet-stream")
                    .sendBuffer(body))
        .onComplete(
            answer -> {
              sent();
              if (answer.failed()) {
                LOG.atWarn()
                    .addKeyValue("tap", target)
                    .addKeyValue("requests", taken.size())
                    .setCause(answer.cause())
                    .log("Routing trace dropped");
              } else if (answer.result().statusCode() >= 300) {
                LOG.atWarn()
                    .addKeyValue("tap", target)
                    .addKeyValue("requests", taken.size())
                    .addKeyValue("status", answer.result().statusCode())
                    .addKeyValue("answer", answer.result().bodyAsString())
                    .log("Routing trace refused");
              }
            });
  }

  private Buffer encode(List<RoutingRecording> recordings) {
    try {
      Path file = Files.createTempFile("smelt-trace", ".routing.safetensors");
      try {
        SafetensorsWriter.write(
            file,
            Map.of("model", model, "requests", Integer.toString(recordings.size())),
            RoutingRecording.tensors(recordings));
        return Buffer.buffer(Files.readAllBytes(file));
      } finally {
        Files.deleteIfExists(file);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
