package dev.smelt.agent.tap;

import static dev.smelt.agent.tap.EngineStandIn.PLAIN;
import static dev.smelt.agent.tap.EngineStandIn.json;
import static dev.smelt.agent.tap.EngineStandIn.npy;
import static dev.smelt.agent.tap.EngineStandIn.raw;
import static dev.smelt.agent.tap.EngineStandIn.sglang;
import static dev.smelt.agent.tap.EngineStandIn.vllm;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.smelt.streams.usage.Usage;
import dev.smelt.streams.usage.UsageRecord;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.vertx.core.Future;
import io.vertx.core.Handler;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpClientRequest;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.core.http.HttpVersion;
import io.vertx.core.streams.WriteStream;
import java.io.IOException;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.WebSocket;
import java.net.http.WebSocketHandshakeException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The model of these tests: 2 layers with 4 experts each, top-2. */
class ProxyTapIT {

  private static final String COMPLETIONS = "/v1/completions";
  private static final String PROMPT = "{\"prompt\":\"ab\",\"max_tokens\":1}";
  private static final String ASKED =
      "{\"return_routed_experts\":true,\"prompt\":\"ab\",\"max_tokens\":1}";
  private static final int[] IDS = {0, 1, 2, 3, 1, 0, 3, 2};

  private final Vertx vertx = Vertx.vertx();
  private final List<UsageRecord> records = new CopyOnWriteArrayList<>();
  private final List<AutoCloseable> open = new ArrayList<>();
  private final AtomicReference<Duration> later = new AtomicReference<>(Duration.ZERO);
  private final Clock clock =
      ((InstantSource) () -> Instant.now().plus(later.get())).withZone(ZoneOffset.UTC);
  private EngineStandIn engine;
  private HttpClient client;
  private ProxyTap tap;
  private int port;

  @BeforeEach
  void startEngine() {
    engine = new EngineStandIn(vertx, json(200, PLAIN));
    client = vertx.createHttpClient();
  }

  @AfterEach
  void stop() throws Exception {
    if (tap != null) {
      tap.close().await();
    }
    for (AutoCloseable one : open) {
      one.close();
    }
    vertx.close().await();
  }

  @Test
  void shouldPassOtherRoutesUntouched() {
    start(EngineDialect.SGLANG, 1);
    engine.behave(
        received ->
            received
                .request()
                .response()
                .setStatusCode(418)
                .putHeader("x-engine", "yes")
                .end("tea"));

    Answered answered = send(HttpMethod.PUT, "/v1/other?q=1", "x", Map.of("x-client", "yes"));

    assertThat(answered.status()).isEqualTo(418);
    assertThat(answered.text()).isEqualTo("tea");
    assertThat(answered.header("x-engine")).isEqualTo("yes");
    assertThat(engine.last().request().uri()).isEqualTo("/v1/other?q=1");
    assertThat(engine.last().request().getHeader("x-client")).isEqualTo("yes");
    assertThat(engine.last().text()).isEqualTo("x");
  }

  @Test
  void shouldNotAskWhenNothingIsSampled() {
    start(EngineDialect.SGLANG, 0);

    assertThat(complete(PROMPT).text()).isEqualTo(PLAIN);

    assertThat(engine.last().text()).isEqualTo(PROMPT);
  }

  @Test
  void shouldReadAndStripExpertsOfSglang() {
    start(EngineDialect.SGLANG, 1);
    engine.behave(json(200, sglang(raw(IDS))));

    Answered answered = complete(PROMPT);

    assertThat(answered.text()).isEqualTo(PLAIN);
    assertThat(answered.header("content-length")).isEqualTo(String.valueOf(PLAIN.length()));
    assertThat(engine.last().text()).isEqualTo(ASKED);
    assertUsageOfIds();
  }

  @Test
  void shouldReadAndStripExpertsOfVllmWithoutAsking() {
    start(EngineDialect.VLLM, 1);
    engine.behave(json(200, vllm(npy(2, 2, 2, IDS))));

    assertThat(complete(PROMPT).text()).isEqualTo(PLAIN);

    assertThat(engine.last().text()).isEqualTo(PROMPT);
    assertUsageOfIds();
  }

  @Test
  void shouldLearnThatAnEngineSendsExpertsUnasked() {
    start(EngineDialect.AUTO, 1);
    engine.behave(json(200, vllm(npy(2, 2, 2, IDS))));

    complete(PROMPT);
    assertThat(engine.last().text()).isEqualTo(ASKED);
    complete(PROMPT);

    assertThat(engine.last().text()).isEqualTo(PROMPT);
  }

  @Test
  void shouldLeaveExpertsToAClientThatAsks() {
    start(EngineDialect.SGLANG, 1);
    engine.behave(json(200, sglang(raw(IDS))));

    Answered answered = complete("{\"return_routed_experts\":true}");

    assertThat(answered.text()).isEqualTo(sglang(raw(IDS)));
    assertThat(engine.last().text()).isEqualTo("{\"return_routed_experts\":true}");
    assertUsageOfIds();
  }

  @Test
  void shouldNotAskForAClientThatDeclines() {
    start(EngineDialect.SGLANG, 1);

    complete("{\"return_routed_experts\":false}");

    assertThat(engine.last().text()).isEqualTo("{\"return_routed_experts\":false}");
    assertThat(tap.status().faults()).isEmpty();
  }

  @Test
  void shouldPassStreamedAnswersChunkByChunk() {
    start(EngineDialect.SGLANG, 1);
    AtomicReference<HttpServerResponse> answering = new AtomicReference<>();
    engine.behave(
        received -> {
          HttpServerResponse response = received.request().response();
          response.putHeader("content-type", "text/event-stream").setChunked(true);
          response.write("data: {\"n\":1}\n\n");
          answering.set(response);
        });
    Buffer seen = Buffer.buffer();
    AtomicBoolean ended = new AtomicBoolean();
    stream(
        response -> {
          response.handler(seen::appendBuffer);
          response.endHandler(end -> ended.set(true));
        });

    // The second chunk is sent only after the first has arrived.
    await().until(() -> seen.toString().equals("data: {\"n\":1}\n\n"));
    answering.get().write("data: {\"n\":2}\n\n");
    await().until(() -> seen.toString().endsWith("data: {\"n\":2}\n\n"));
    answering.get().end("data: [DONE]\n\n");
    await().untilTrue(ended);

    assertThat(seen.toString()).isEqualTo("data: {\"n\":1}\n\ndata: {\"n\":2}\n\ndata: [DONE]\n\n");
  }

  @Test
  void shouldReadAndStripExpertsOfTheLastStreamedChunk() {
    start(EngineDialect.SGLANG, 1);
    String last = sglang(raw(IDS));
    engine.behave(
        received -> {
          HttpServerResponse response = received.request().response();
          response.putHeader("content-type", "text/event-stream").setChunked(true);
          response.write("data: {\"choices\":[{\"text\":\"a\"}]}\n\n");
          response.write("data: " + last.substring(0, 40));
          response.write(last.substring(40) + "\n\n");
          response.end("data: [DONE]\n\n");
        });

    Answered answered = complete("{\"stream\":true}");

    assertThat(answered.text())
        .isEqualTo(
            "data: {\"choices\":[{\"text\":\"a\"}]}\n\ndata: " + PLAIN + "\n\ndata: [DONE]\n\n");
    assertUsageOfIds();
  }

  @Test
  void shouldServeAndRestWhenTheEngineRejectsTheField() {
    start(EngineDialect.SGLANG, 1);
    engine.behave(
        received -> {
          boolean asked = received.text().contains("return_routed_experts");
          json(asked ? 400 : 200, asked ? "{\"error\":\"unknown field\"}" : PLAIN).handle(received);
        });

    Answered first = complete(PROMPT);
    Answered second = complete(PROMPT);

    assertThat(first.status()).isEqualTo(200);
    assertThat(first.text()).isEqualTo(PLAIN);
    assertThat(second.text()).isEqualTo(PLAIN);
    assertThat(engine.received())
        .extracting(EngineStandIn.Received::text)
        .containsExactly(ASKED, PROMPT, PROMPT);
    assertResting(TapFault.REJECTED);
  }

  @Test
  void shouldTryAgainAfterARest() {
    shouldServeAndRestWhenTheEngineRejectsTheField();
    engine.behave(json(200, sglang(raw(IDS))));

    later.set(Duration.ofHours(1));
    complete(PROMPT);

    assertUsageOfIds();
    assertThat(tap.status().state()).isInstanceOf(TapStatus.Tapping.class);
  }

  @Test
  void shouldNotBlameTheFieldForABadRequest() {
    start(EngineDialect.SGLANG, 1);
    engine.behave(json(400, "{\"error\":\"no prompt\"}"));

    Answered answered = complete("{}");

    assertThat(answered.status()).isEqualTo(400);
    assertThat(answered.text()).isEqualTo("{\"error\":\"no prompt\"}");
    assertThat(tap.status().faults()).isEmpty();
  }

  @Test
  void shouldServeAndRestWhenAllExpertsAreZero() {
    start(EngineDialect.SGLANG, 1);
    engine.behave(json(200, sglang(raw(new int[8]))));

    assertServedUntilResting(TapFault.ALL_ZERO);
  }

  @Test
  void shouldServeAndRestWhenTheFieldIsDropped() {
    start(EngineDialect.SGLANG, 1);

    assertServedUntilResting(TapFault.MISSING);
  }

  @Test
  void shouldServeAndRestWhenTheShapeChanges() {
    start(EngineDialect.VLLM, 1);
    engine.behave(json(200, vllm(npy(2, 1, 2, 0, 1, 2, 3))));

    assertServedUntilResting(TapFault.WRONG_SHAPE);
  }

  @Test
  void shouldServeAndRestWhenThePayloadIsTruncated() {
    start(EngineDialect.VLLM, 1);
    engine.behave(json(200, vllm(npy(3, 2, 2, IDS))));

    assertServedUntilResting(TapFault.TRUNCATED);
  }

  @Test
  void shouldPassAnswersThatAreNotJson() {
    start(EngineDialect.SGLANG, 1);
    engine.behave(json(200, "{broken"));

    assertThat(complete(PROMPT).text()).isEqualTo("{broken");

    assertThat(tap.status().faults()).containsEntry(TapFault.NOT_JSON, 1L);
  }

  @Test
  void shouldPassRequestsThatAreNotJson() {
    start(EngineDialect.SGLANG, 1);

    assertThat(complete("{broken").status()).isEqualTo(200);

    assertThat(engine.last().text()).isEqualTo("{broken");
  }

  @Test
  void shouldServeWhenDecisionsCannotBeSent() {
    startWith(
        settings(EngineDialect.SGLANG, 1),
        record -> {
          throw new IllegalStateException("no room");
        });
    engine.behave(json(200, sglang(raw(IDS))));

    for (int i = 0; i < 5; i++) {
      assertThat(complete(PROMPT).text()).isEqualTo(PLAIN);
    }
  }

  @Test
  void shouldAskForPlainAnswersOnlyWhereItReadsThem() {
    start(EngineDialect.SGLANG, 1);
    Map<String, String> gzip = Map.of("accept-encoding", "gzip");

    Answered tapped = send(HttpMethod.POST, COMPLETIONS, PROMPT, gzip);
    Answered other = send(HttpMethod.POST, "/v1/embeddings", PROMPT, gzip);

    assertThat(tapped.text()).isEqualTo(PLAIN);
    assertThat(other.header("content-encoding")).isEqualTo("gzip");
    assertThat(other.body().getByte(0)).isEqualTo((byte) 0x1f);
  }

  @Test
  void shouldPassCompressedRequestsUnread() {
    start(EngineDialect.SGLANG, 1);

    send(HttpMethod.POST, COMPLETIONS, PROMPT, Map.of("content-encoding", "zstd"));

    assertThat(engine.last().text()).isEqualTo(PROMPT);
  }

  @Test
  void shouldPassRequestsBeyondTheLimitUnread() {
    start(EngineDialect.SGLANG, 1);
    String large = "{\"prompt\":\"" + "x".repeat(3 << 20) + "\"}";

    assertThat(complete(large).status()).isEqualTo(200);

    assertThat(engine.last().text()).isEqualTo(large);
  }

  @Test
  void shouldPassAnswersBeyondTheLimitUnread() {
    start(EngineDialect.SGLANG, 1);
    String large = "{\"text\":\"" + "x".repeat(5 << 20) + "\"}";
    engine.behave(json(200, large));

    assertThat(complete(PROMPT).text()).isEqualTo(large);

    assertThat(tap.status().faults()).containsEntry(TapFault.ANSWER_TOO_LARGE, 1L);
  }

  @Test
  void shouldPassABodyOfUnknownLength() {
    start(EngineDialect.SGLANG, 1);

    assertThat(sendInTwoPieces().toString()).isEqualTo(PLAIN);
    assertThat(engine.last().text()).isEqualTo(PROMPT);
  }

  @Test
  void shouldServeHttp2() {
    start(EngineDialect.SGLANG, 1);
    engine.behave(json(200, sglang(raw(IDS))));
    client =
        vertx.createHttpClient(
            new HttpClientOptions()
                .setProtocolVersion(HttpVersion.HTTP_2)
                .setHttp2ClearTextUpgrade(false));

    Answered answered = complete(PROMPT);

    assertThat(answered.version()).isEqualTo(HttpVersion.HTTP_2);
    assertThat(answered.text()).isEqualTo(PLAIN);
    assertUsageOfIds();
  }

  @Test
  void shouldPassAnHttp2BodyOfUnknownLength() {
    start(EngineDialect.SGLANG, 1);
    client =
        vertx.createHttpClient(
            new HttpClientOptions()
                .setProtocolVersion(HttpVersion.HTTP_2)
                .setHttp2ClearTextUpgrade(false));

    assertThat(sendInTwoPieces().toString()).isEqualTo(PLAIN);
    assertThat(engine.last().text()).isEqualTo(PROMPT);
  }

  @Test
  void shouldRefuseWebsocketsClearly() {
    start(EngineDialect.SGLANG, 1);

    CompletableFuture<WebSocket> handshake =
        java.net.http.HttpClient.newHttpClient()
            .newWebSocketBuilder()
            .buildAsync(
                URI.create("ws://127.0.0.1:" + port + "/v1/realtime"), new WebSocket.Listener() {});

    assertThat(handshake)
        .failsWithin(Duration.ofSeconds(30))
        .withThrowableThat()
        .havingCause()
        .isInstanceOfSatisfying(
            WebSocketHandshakeException.class,
            refused -> assertThat(refused.getResponse().statusCode()).isEqualTo(501));
    assertThat(engine.received()).isEmpty();
  }

  @Test
  void shouldTellTheEngineThatAClientLeft() {
    start(EngineDialect.SGLANG, 1);
    AtomicBoolean closed = new AtomicBoolean();
    engine.behave(
        received -> {
          HttpServerResponse response = received.request().response();
          response.putHeader("content-type", "text/event-stream").setChunked(true);
          response.closeHandler(left -> closed.set(true));
          response.write("data: 1\n\n");
        });
    AtomicReference<HttpClientResponse> answer = new AtomicReference<>();
    HttpClientRequest request = request();
    request.send("{\"stream\":true}").onSuccess(answer::set);
    await().until(() -> answer.get() != null);

    request.connection().close();

    await().untilTrue(closed);
    await().until(() -> tap.engines().inFlight(engine.uri()) == 0);
  }

  @Test
  void shouldTellTheEngineThatAClientLeftBeforeTheAnswer() {
    start(EngineDialect.SGLANG, 1);
    AtomicBoolean closed = new AtomicBoolean();
    engine.behave(received -> received.request().response().closeHandler(l -> closed.set(true)));
    HttpClientRequest request = request();
    request.send(PROMPT);
    await().until(() -> engine.received().size() == 1);

    request.connection().close();

    await().untilTrue(closed);
    await().until(() -> tap.engines().inFlight(engine.uri()) == 0);
  }

  @Test
  void shouldSlowTheEngineDownForASlowClient() {
    start(EngineDialect.SGLANG, 1);
    AtomicLong written = new AtomicLong();
    long size = 64L << 20;
    engine.behave(
        received -> {
          HttpServerResponse response = received.request().response();
          response.putHeader("content-type", "text/event-stream").setChunked(true);
          writeUntilFull(response, written, size);
        });
    AtomicReference<HttpClientResponse> answer = new AtomicReference<>();
    stream(
        response -> {
          response.pause();
          answer.set(response);
        });

    await().until(() -> answer.get() != null);
    awaitStandstill(written, size);

    AtomicLong received = new AtomicLong();
    answer.get().handler(chunk -> received.addAndGet(chunk.length()));
    answer.get().resume();
    await().atMost(Duration.ofSeconds(30)).until(() -> received.get() == size);
  }

  /** Waits until no more is written, long before all of it is. */
  private static void awaitStandstill(AtomicLong written, long size) {
    AtomicLong before = new AtomicLong(-1);
    await()
        .pollInterval(Duration.ofMillis(300))
        .until(() -> before.getAndSet(written.get()) == written.get());
    assertThat(written.get()).isLessThan(size / 2);
  }

  @Test
  void shouldSlowAClientDownForASlowEngine() {
    AtomicReference<HttpServerRequest> reading = new AtomicReference<>();
    HttpServer slow =
        vertx
            .createHttpServer()
            .requestHandler(
                request -> {
                  request.pause();
                  reading.set(request);
                })
            .listen(0, "127.0.0.1")
            .await();
    URI uri = URI.create("http://127.0.0.1:" + slow.actualPort());
    startWith(
        ProxySettings.of("127.0.0.1", 0, List.of(uri), EngineDialect.SGLANG, 1), records::add);
    AtomicLong written = new AtomicLong();
    long size = 64L << 20;
    client
        .request(HttpMethod.POST, port, "127.0.0.1", "/v1/files")
        .onSuccess(
            request -> {
              request.setChunked(true);
              writeUntilFull(request, written, size);
            });

    await().until(() -> reading.get() != null);
    awaitStandstill(written, size);

    AtomicLong received = new AtomicLong();
    reading.get().handler(chunk -> received.addAndGet(chunk.length()));
    reading.get().resume();
    await().atMost(Duration.ofSeconds(30)).until(() -> received.get() == size);
  }

  @Test
  void shouldPassAnswersThatAreCompressedAnyway() {
    start(EngineDialect.SGLANG, 1);
    Buffer compressed = Buffer.buffer(new byte[] {0x1f, (byte) 0x8b, 8, 0});
    engine.behave(
        received ->
            received
                .request()
                .response()
                .putHeader("content-type", "application/json")
                .putHeader("content-encoding", "gzip")
                .end(compressed));

    Answered answered = complete(PROMPT);

    assertThat(answered.body()).isEqualTo(compressed);
    assertThat(answered.header("content-encoding")).isEqualTo("gzip");
    assertThat(tap.status().faults()).containsEntry(TapFault.COMPRESSED, 1L);
  }

  @Test
  void shouldServeAndCountWhatIsDroppedWhileTheTapIsBehind() {
    CountDownLatch stuck = new CountDownLatch(1);
    startWith(
        settings(EngineDialect.SGLANG, 1),
        record -> {
          try {
            stuck.await(1, TimeUnit.MINUTES);
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
        });
    engine.behave(json(200, sglang(raw(IDS))));

    await()
        .atMost(Duration.ofSeconds(30))
        .until(
            () -> {
              for (int i = 0; i < 100; i++) {
                assertThat(complete(PROMPT).text()).isEqualTo(PLAIN);
              }
              return tap.status().faults().containsKey(TapFault.BEHIND);
            });

    stuck.countDown();
    assertThat(tap.status().state()).isNotInstanceOf(TapStatus.Resting.class);
  }

  private static void writeUntilFull(WriteStream<Buffer> stream, AtomicLong written, long size) {
    String line = "data: " + "x".repeat((64 << 10) - 7) + "\n";
    while (written.get() < size) {
      written.addAndGet(line.length());
      stream.write(Buffer.buffer(line));
      if (stream.writeQueueFull()) {
        stream.drainHandler(drained -> writeUntilFull(stream, written, size));
        return;
      }
    }
    stream.end();
  }

  @Test
  void shouldSayThatTheEngineDoesNotAnswer() throws IOException {
    URI nobody;
    try (ServerSocket free = new ServerSocket(0)) {
      nobody = URI.create("http://127.0.0.1:" + free.getLocalPort());
    }
    startWith(ProxySettings.defaults(nobody), records::add);

    Answered answered = complete(PROMPT);

    assertThat(answered.status()).isEqualTo(502);
    assertThat(answered.text()).contains("smelt: " + nobody + " does not answer");
    await().until(() -> tap.engines().inFlight(nobody) == 0);
  }

  @Test
  void shouldPassOnThatTheEngineBreaksOff() {
    start(EngineDialect.SGLANG, 1);
    engine.behave(received -> received.request().connection().close());

    Answered answered = complete(PROMPT);

    assertThat(answered.status()).isEqualTo(502);
    assertThat(answered.text()).contains("does not answer");
  }

  @Test
  void shouldShiftNewRequestsToAnotherEngine() {
    start(EngineDialect.SGLANG, 0);
    EngineStandIn green = new EngineStandIn(vertx, json(200, "green"));
    open.add(green);
    List<EngineStandIn.Received> waiting = new CopyOnWriteArrayList<>();
    engine.behave(waiting::add);
    AtomicReference<String> old = new AtomicReference<>();
    client
        .request(HttpMethod.POST, port, "127.0.0.1", COMPLETIONS)
        .compose(request -> request.send(PROMPT).compose(HttpClientResponse::body))
        .onSuccess(body -> old.set(body.toString()));
    await().until(() -> waiting.size() == 1);

    tap.engines().shift(List.of(green.uri()));

    assertThat(complete(PROMPT).text()).isEqualTo("green");
    assertThat(tap.engines().inFlight(engine.uri())).isEqualTo(1);
    waiting.get(0).request().response().end("blue");
    await().untilAsserted(() -> assertThat(old.get()).isEqualTo("blue"));
    await().until(() -> tap.engines().inFlight(engine.uri()) == 0);
  }

  @Test
  void shouldSayThatThePortIsTaken() throws IOException {
    try (ServerSocket taken = new ServerSocket(0)) {
      ProxySettings settings = withPort(settings(EngineDialect.SGLANG, 1), taken.getLocalPort());
      tap = newTap(settings, records::add);

      assertThatThrownBy(() -> tap.listen().await())
          .hasMessageContaining("127.0.0.1:" + taken.getLocalPort() + ": cannot listen there")
          .hasMessageEndingWith("set proxy.port to a free port");
    }
  }

  @Test
  void shouldKeepServingWhileManyClientsAreTapped() {
    startWith(
        ProxySettings.of("127.0.0.1", 0, List.of(engine.uri()), EngineDialect.SGLANG, 1),
        records::add);
    engine.behave(json(200, sglang(raw(IDS))));
    AtomicInteger good = new AtomicInteger();

    for (int i = 0; i < 500; i++) {
      client
          .request(HttpMethod.POST, port, "127.0.0.1", COMPLETIONS)
          .compose(request -> request.send(PROMPT).compose(HttpClientResponse::body))
          .onSuccess(body -> good.addAndGet(body.toString().equals(PLAIN) ? 1 : 0));
    }

    await().atMost(Duration.ofMinutes(1)).until(() -> good.get() == 500);
    await().untilAsserted(() -> assertThat(usage(0).map(Usage::requests)).contains(500L));
    assertThat(usage(0).orElseThrow().tokens()).isEqualTo(1000);
  }

  private void assertServedUntilResting(TapFault fault) {
    for (int i = 0; i < 3; i++) {
      Answered answered = complete(PROMPT);
      assertThat(answered.status()).isEqualTo(200);
      assertThat(answered.text()).isEqualTo(PLAIN);
    }
    await().untilAsserted(() -> assertResting(fault));
    int before = engine.received().size();
    assertThat(complete(PROMPT).status()).isEqualTo(200);
    assertThat(engine.received()).hasSize(before + 1);
    assertThat(engine.last().text()).isEqualTo(PROMPT);
  }

  private void assertResting(TapFault fault) {
    assertThat(tap.status().state())
        .isInstanceOfSatisfying(
            TapStatus.Resting.class,
            resting -> {
              assertThat(resting.fault()).isEqualTo(fault);
              assertThat(resting.description()).contains(fault.remedy());
            });
    assertThat(tap.status().faults()).containsKey(fault);
  }

  private void assertUsageOfIds() {
    await().untilAsserted(() -> assertThat(usage(0)).isPresent());
    assertThat(usage(0).orElseThrow().counts()).containsExactly(2, 2, 0, 0);
    assertThat(usage(1).orElseThrow().counts()).containsExactly(0, 0, 2, 2);
    assertThat(usage(0).orElseThrow().requests()).isEqualTo(1);
    assertThat(records).allSatisfy(one -> assertThat(one.snapshot()).isEqualTo("snap-1"));
  }

  private Optional<Usage> usage(int layer) {
    return records.stream()
        .filter(one -> one.key().layer().equals(TestModels.name(layer)))
        .map(one -> one.decisions().usage())
        .filter(usage -> usage.tokens() > 0)
        .reduce(Usage::plus);
  }

  private void start(EngineDialect dialect, double share) {
    startWith(settings(dialect, share), records::add);
  }

  private void startWith(ProxySettings settings, UsageSink sink) {
    tap = newTap(settings, sink);
    port = tap.listen().await();
  }

  private ProxyTap newTap(ProxySettings settings, UsageSink sink) {
    TappedModel model = TestModels.model(2, 4, 2);
    CombinerSettings combining =
        new CombinerSettings(
            Duration.ofMillis(20), 4096, Duration.ofHours(2), CombinerSettings.Form.COMBINED);
    Combiner combiner = new Combiner(model, combining, "test", Clock.systemUTC(), sink);
    return new ProxyTap(
        vertx, settings, model, () -> "snap-1", combiner, clock, new SimpleMeterRegistry());
  }

  private ProxySettings settings(EngineDialect dialect, double share) {
    return new ProxySettings(
        "127.0.0.1",
        0,
        List.of(engine.uri()),
        dialect,
        share,
        0,
        2 << 20,
        4 << 20,
        Duration.ofSeconds(5),
        64,
        3,
        Duration.ofMinutes(1),
        64,
        64L << 20);
  }

  private static ProxySettings withPort(ProxySettings settings, int port) {
    return new ProxySettings(
        settings.host(),
        port,
        settings.engines(),
        settings.dialect(),
        settings.share(),
        settings.knownPrefix(),
        settings.maxRequestBytes(),
        settings.maxAnswerBytes(),
        settings.connectTimeout(),
        settings.connections(),
        settings.faultsBeforeRest(),
        settings.rest(),
        settings.queueAnswers(),
        settings.queueBytes());
  }

  private record Answered(
      int status, HttpVersion version, Map<String, String> headers, Buffer body) {
    String text() {
      return body.toString();
    }

    String header(String name) {
      return headers.get(name);
    }
  }

  private Buffer sendInTwoPieces() {
    return client
        .request(HttpMethod.POST, port, "127.0.0.1", COMPLETIONS)
        .compose(
            request -> {
              request.setChunked(true);
              request.write(PROMPT.substring(0, 5));
              request.end(PROMPT.substring(5));
              return request.response().compose(HttpClientResponse::body);
            })
        .await();
  }

  private Answered complete(String body) {
    return send(HttpMethod.POST, COMPLETIONS, body, Map.of());
  }

  /** The body is asked for inside the first callback: from another thread it may be gone. */
  private Answered send(HttpMethod method, String path, String body, Map<String, String> headers) {
    return client
        .request(method, port, "127.0.0.1", path)
        .compose(
            request -> {
              headers.forEach(request::putHeader);
              return request
                  .putHeader("content-type", "application/json")
                  .send(body)
                  .compose(ProxyTapIT::answered);
            })
        .await();
  }

  private static Future<Answered> answered(HttpClientResponse response) {
    Map<String, String> headers = new HashMap<>();
    response
        .headers()
        .forEach(
            header -> headers.put(header.getKey().toLowerCase(Locale.ROOT), header.getValue()));
    return response
        .body()
        .map(bytes -> new Answered(response.statusCode(), response.version(), headers, bytes));
  }

  private void stream(Handler<HttpClientResponse> handler) {
    client
        .request(HttpMethod.POST, port, "127.0.0.1", COMPLETIONS)
        .compose(request -> request.send("{\"stream\":true}").onSuccess(handler));
  }

  private HttpClientRequest request() {
    return client.request(HttpMethod.POST, port, "127.0.0.1", COMPLETIONS).await();
  }
}
