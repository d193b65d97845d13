package dev.smelt.agent.tap;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.smelt.agent.api.AgentApi;
import dev.smelt.agent.api.HealthChecks;
import dev.smelt.agent.api.LiveEvents;
import dev.smelt.agent.api.Metrics;
import dev.smelt.agent.config.ApiSettings;
import dev.smelt.agent.inference.TinyCheckpoint;
import dev.smelt.agent.statistics.LiveMoments;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.SafetensorsWriter;
import dev.smelt.store.safetensors.Tensor;
import dev.smelt.streams.usage.Usage;
import dev.smelt.streams.usage.UsageRecord;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The model of these tests: 2 layers with 4 experts each, top-2. */
class IngestTapIT {

  private static final String BLOCK = TestModels.name(0);
  private static final String SELECTED = BLOCK + ".selected_experts";
  private static final String SUMS = BLOCK + ".usage.";

  @TempDir Path folder;

  private final Vertx vertx = Vertx.vertx();
  private final HttpClient client = HttpClient.newHttpClient();
  private final List<UsageRecord> records = new CopyOnWriteArrayList<>();
  private final HealthChecks health = new HealthChecks();
  private final Metrics metrics = new Metrics(health, Clock.systemUTC());
  private final TappedModel model = TestModels.model(2, 4, 2);
  private Combiner combiner;
  private LiveMoments moments;
  private IngestTap tap;
  private AgentApi api;
  private int port;

  @BeforeEach
  void start() throws IOException {
    combiner =
        new Combiner(model, CombinerSettings.defaults(), "engine", Clock.systemUTC(), records::add);
    tap = new IngestTap(vertx, metrics.registry());
    tap.take(model, combiner, () -> "snap");
    Path tiny = new TinyCheckpoint(1).write(folder.resolve("tiny"));
    try (Checkpoint checkpoint = Checkpoint.open(tiny)) {
      moments =
          LiveMoments.open(
              folder.resolve("moments"),
              "tiny",
              checkpoint.blocks(),
              Duration.ofDays(1),
              Clock.systemUTC());
    }
    tap.takeMoments("tiny", moments);
    api =
        new AgentApi(
            vertx,
            new ApiSettings("127.0.0.1", 0, List.of()),
            List.of(),
            new LiveEvents(metrics, Clock.systemUTC()),
            health,
            metrics,
            List.of(tap::mount));
    port = api.start().await();
  }

  @AfterEach
  void stop() {
    api.close().await();
    tap.close();
    metrics.close();
    vertx.close().await();
  }

  @Test
  void shouldTakeDecisionsWithWeightsAndLogits() throws Exception {
    HttpResponse<String> answer =
        post(
            Map.of("requests", "1"),
            Tensor.ints(SELECTED, List.of(2L, 2L), new int[] {0, 1, 1, -1}),
            Tensor.floats(
                BLOCK + ".routing_weights",
                DType.F32,
                List.of(2L, 2L),
                new float[] {.75f, .25f, 1, 0}),
            Tensor.floats(
                BLOCK + ".router_logits",
                DType.F32,
                List.of(2L, 4L),
                new float[] {1, 2, 0, 0, 0, 3, 0, 0}));

    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(new JsonObject(answer.body()).getLong("tokens")).isEqualTo(2);
    Usage usage = flushed();
    assertThat(usage.counts()).containsExactly(1, 2, 0, 0);
    assertThat(usage.coActivation(0, 1)).isEqualTo(1);
    assertThat(usage.requests()).isEqualTo(1);
    assertThat(usage.gateMass().orElseThrow()).containsExactly(.75, 1.25, 0, 0);
    assertThat(usage.logitGram().orElseThrow()).startsWith(1, 2, 0, 0, 2, 13);
    assertThat(records.get(0).snapshot()).isEqualTo("snap");
  }

  @Test
  void shouldTakeSums() throws Exception {
    HttpResponse<String> answer = post(Map.of("requests", "3"), sums());

    assertThat(answer.statusCode()).isEqualTo(200);
    Usage usage = flushed();
    assertThat(usage.tokens()).isEqualTo(5);
    assertThat(usage.requests()).isEqualTo(3);
    assertThat(usage.counts()).containsExactly(5, 3, 2, 0);
    assertThat(usage.coActivation(0, 1)).isEqualTo(3);
    assertThat(usage.coActivation(2, 0)).isEqualTo(2);
    assertThat(usage.gateMass().orElseThrow()).containsExactly(3, 1, 1, 0);
    assertThat(usage.logitGram()).isEmpty();
    assertThat(usage.outputNorm().orElseThrow()).containsExactly(1, 2, 3, 0);
  }

  @Test
  void shouldRefuseAnUnknownModel() throws Exception {
    HttpResponse<String> answer = post("other", BodyPublishers.ofByteArray(new byte[8]));

    assertRefused(answer, 404, "no model is called 'other'; this agent looks after [tiny]");
  }

  @Test
  void shouldRefuseABodyThatIsNoSafetensors() throws Exception {
    HttpResponse<String> answer = post("tiny", BodyPublishers.ofString("hello"));

    assertRefused(answer, 400, "the body: has 5 bytes, too few for a safetensors file");
  }

  @Test
  void shouldRefuseABlockOfAnotherModel() throws Exception {
    HttpResponse<String> answer =
        post(
            Map.of(),
            Tensor.ints("model.layers.9.mlp.selected_experts", List.of(1L, 2L), new int[] {0, 1}));

    assertRefused(
        answer,
        400,
        "the body: model.layers.9.mlp.selected_experts: tiny has no such block, it has ["
            + TestModels.name(0)
            + ", "
            + TestModels.name(1)
            + "]");
  }

  @Test
  void shouldTakeSecondMoments() throws Exception {
    HttpResponse<String> first = postMoments(0, 6);
    HttpResponse<String> second = postMoments(1, 6);

    assertThat(first.statusCode()).isEqualTo(200);
    assertThat(new JsonObject(second.body()).getLong("tokens")).isEqualTo(3);
    assertThat(moments.tokens(LiveMoments.Span.ALL)).isCloseTo(3, within(0.01));
    assertThat(metrics.registry().get("smelt_ingest_moments_tokens").counter().count())
        .isEqualTo(6);
  }

  @Test
  void shouldRefuseSecondMomentsOfAnotherModel() throws Exception {
    HttpResponse<String> answer = postMoments(7, 6);

    assertThat(answer.statusCode()).isEqualTo(400);
    assertThat(detail(answer))
        .startsWith(TinyCheckpoint.block(7) + ": tiny has no such block, it has [");
    assertThat(moments.tokens(LiveMoments.Span.ALL)).isZero();
  }

  @Test
  void shouldRefuseDamagedSecondMoments() throws Exception {
    HttpResponse<String> answer = post("tiny/moments", BodyPublishers.ofString("no safetensors"));

    assertThat(answer.statusCode()).isEqualTo(400);
    assertThat(detail(answer)).startsWith("the body: ");
  }

  @Test
  void shouldKnowNoMomentsOfAModelThatItDoesNotLookAfter() throws Exception {
    HttpResponse<String> answer = post("other/moments", BodyPublishers.ofString(""));

    assertRefused(answer, 404, "no model is called 'other'; this agent looks after [tiny]");
  }

  /** Moments of 6 picks of expert 1. */
  private HttpResponse<String> postMoments(int layer, double picks) throws Exception {
    String block = TinyCheckpoint.block(layer);
    double[] tokens = new double[TinyCheckpoint.EXPERTS];
    tokens[1] = picks;
    Path file = folder.resolve("moments.safetensors");
    SafetensorsWriter.write(
        file,
        Map.of(),
        List.of(
            Tensor.doubles(
                block + ".moments.tokens", List.of((long) TinyCheckpoint.EXPERTS), tokens),
            Tensor.floats(
                block + ".moments.1.activations",
                DType.F32,
                List.of((long) TinyCheckpoint.WIDTH, (long) TinyCheckpoint.WIDTH),
                new float[TinyCheckpoint.WIDTH * TinyCheckpoint.WIDTH])));
    return post("tiny/moments", BodyPublishers.ofByteArray(Files.readAllBytes(file)));
  }

  @Test
  void shouldRefuseAnotherTopK() throws Exception {
    HttpResponse<String> answer =
        post(Map.of(), Tensor.ints(SELECTED, List.of(1L, 3L), new int[] {0, 1, 2}));

    assertThat(answer.statusCode()).isEqualTo(400);
    assertThat(detail(answer)).contains("has shape [1, 3]", "needs [tokens, 2]");
  }

  @Test
  void shouldRefuseAnExpertThatIsChosenTwice() throws Exception {
    HttpResponse<String> answer =
        post(Map.of(), Tensor.ints(SELECTED, List.of(1L, 2L), new int[] {3, 3}));

    assertThat(answer.statusCode()).isEqualTo(400);
    assertThat(detail(answer)).endsWith("row 0: expert 3 is chosen twice");
  }

  @Test
  void shouldRefuseSumsThatContradictEachOther() throws Exception {
    Tensor[] sums = sums();
    sums[0] = Tensor.longs(SUMS + "tokens", List.of(1L), new long[] {2});

    HttpResponse<String> answer = post(Map.of(), sums);

    assertThat(answer.statusCode()).isEqualTo(400);
    assertThat(detail(answer)).endsWith("expert 0 has 5 of 2 tokens");
    combiner.flush();
    assertThat(records).isEmpty();
  }

  @Test
  void shouldRefuseSumsThatAreNotFinite() throws Exception {
    Tensor[] sums = sums();
    sums[3] = Tensor.doubles(SUMS + "gate_mass", List.of(4L), new double[] {1, Double.NaN, 0, 0});

    HttpResponse<String> answer = post(Map.of(), sums);

    assertThat(answer.statusCode()).isEqualTo(400);
    assertThat(detail(answer)).contains("is not finite");
  }

  @Test
  void shouldRefuseABodyWithoutBlocks() throws Exception {
    HttpResponse<String> answer =
        post(Map.of(), Tensor.ints("nothing", List.of(1L), new int[] {0}));

    assertThat(answer.statusCode()).isEqualTo(400);
    assertThat(detail(answer)).startsWith("the body: holds no block of tiny;");
  }

  @Test
  void shouldRefuseABodyOfUnknownLength() throws Exception {
    HttpResponse<String> answer =
        post(
            "tiny",
            BodyPublishers.fromPublisher(BodyPublishers.ofByteArrays(List.of(new byte[16]))));

    assertRefused(
        answer, 411, "send the header Content-Length; bodies of unknown length are not read");
  }

  @Test
  void shouldRefuseABodyThatIsTooLargeBeforeItArrives() {
    int status =
        vertx
            .createHttpClient()
            .request(HttpMethod.POST, port, "127.0.0.1", "/v1/tap/tiny")
            .compose(
                request -> {
                  request.putHeader("content-length", "" + (IngestTap.LARGEST_BODY + 1));
                  request.write(Buffer.buffer("x"));
                  return request.response();
                })
            .await()
            .statusCode();

    assertThat(status).isEqualTo(413);
  }

  @Test
  void shouldGoOnAfterAClientLeftInTheMiddle() throws Exception {
    vertx
        .createHttpClient()
        .request(HttpMethod.POST, port, "127.0.0.1", "/v1/tap/tiny")
        .compose(
            request -> {
              request.putHeader("content-length", "1000");
              return request
                  .write(Buffer.buffer("x"))
                  .compose(sent -> request.connection().close());
            })
        .await();

    assertThat(post(Map.of("requests", "1"), sums()).statusCode()).isEqualTo(200);
    assertThat(flushed().tokens()).isEqualTo(5);
  }

  /** 5 tokens: 3 chose experts 0 and 1, 2 chose 0 and 2. */
  private static Tensor[] sums() {
    return new Tensor[] {
      Tensor.longs(SUMS + "tokens", List.of(1L), new long[] {5}),
      Tensor.longs(SUMS + "counts", List.of(4L), new long[] {5, 3, 2, 0}),
      Tensor.longs(
          SUMS + "co_activation",
          List.of(4L, 4L),
          new long[] {5, 3, 2, 0, 3, 3, 0, 0, 2, 0, 2, 0, 0, 0, 0, 0}),
      Tensor.doubles(SUMS + "gate_mass", List.of(4L), new double[] {3, 1, 1, 0}),
      Tensor.floats(SUMS + "output_norms", DType.F32, List.of(4L), new float[] {1, 2, 3, 0})
    };
  }

  private Usage flushed() {
    combiner.flush();
    assertThat(records).hasSize(1);
    return records.get(0).decisions().usage();
  }

  private HttpResponse<String> post(Map<String, String> metadata, Tensor... tensors)
      throws Exception {
    Path file = folder.resolve("body.safetensors");
    SafetensorsWriter.write(file, metadata, new ArrayList<>(List.of(tensors)));
    return post("tiny", BodyPublishers.ofByteArray(Files.readAllBytes(file)));
  }

  private HttpResponse<String> post(String name, BodyPublisher body) throws Exception {
    return client.send(
        HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + "/v1/tap/" + name))
            .POST(body)
            .build(),
        BodyHandlers.ofString());
  }

  private static String detail(HttpResponse<String> answer) {
    return new JsonObject(answer.body()).getString("detail");
  }

  private static void assertRefused(HttpResponse<String> answer, int status, String detail) {
    assertThat(answer.statusCode()).isEqualTo(status);
    assertThat(answer.headers().firstValue("content-type")).contains("application/problem+json");
    assertThat(detail(answer)).isEqualTo(detail);
  }
}
