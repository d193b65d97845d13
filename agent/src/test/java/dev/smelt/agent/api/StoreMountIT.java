package dev.smelt.agent.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.agent.config.ApiSettings;
import dev.smelt.agent.control.ModelControl;
import dev.smelt.agent.control.ModelControl.Outcome;
import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.Tensor;
import dev.smelt.store.snapshot.ManifestDraft;
import dev.smelt.store.snapshot.Publication;
import dev.smelt.store.snapshot.Reason;
import dev.smelt.store.snapshot.Ref;
import dev.smelt.store.snapshot.SnapshotStore;
import io.vertx.core.Vertx;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Clock;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The store's routes as the dashboard reads them. */
class StoreMountIT {

  private static final String MODEL = "/v1/models/m";
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir private Path folder;

  private final Vertx vertx = Vertx.vertx();
  private final ActivationStub control =
      new ActivationStub("m", snapshot -> this.answer.apply(snapshot));
  private final HealthChecks health = new HealthChecks();
  private final Metrics metrics = new Metrics(health, Clock.systemUTC());
  private Function<String, Outcome> answer = Outcome.Done::new;
  private SnapshotStore store;
  private AgentApi api;
  private String first;
  private String second;
  private int port;

  @BeforeEach
  void start() {
    store = SnapshotStore.open(folder, Clock.systemUTC());
    first = publish(1);
    second = publish(2);
    store.activate("m", first, new Reason("smelt", "first"));
    ApiSettings settings = new ApiSettings("127.0.0.1", 0, List.of());
    api =
        new AgentApi(
            vertx,
            settings,
            List.of(control),
            new LiveEvents(metrics, Clock.systemUTC()),
            health,
            metrics,
            List.of(new StoreMount(vertx, settings, store, List.of(control))));
    port = api.start().await();
  }

  @AfterEach
  void stop() {
    api.close().await();
    vertx.close().await();
    store.close();
    metrics.close();
  }

  @Test
  void shouldListSnapshotsWithTheirGates() throws Exception {
    JsonNode list = json(get(MODEL + "/snapshots")).path("snapshots");
    assertThat(list).hasSize(2);
    JsonNode newest = list.path(0);
    assertThat(newest.path("id").asText()).isEqualTo(second);
    assertThat(newest.path("strategy").asText()).isEqualTo("m-smoe");
    assertThat(newest.path("gate").path("candidate").asDouble()).isEqualTo(1.7);
    assertThat(newest.path("createdAt").asText()).endsWith("Z");
    assertThat(newest.path("bytes").asLong()).isPositive();
  }

  @Test
  void shouldShowAManifestWithPlanAndDigests() throws Exception {
    JsonNode manifest = json(get(MODEL + "/snapshots/" + first));
    assertThat(manifest.path("plan").path("layers")).hasSize(1);
    assertThat(manifest.path("tensors").path("b.groups.0.up.weight").path("digest").asText())
        .startsWith("sha256:");
  }

  @Test
  void shouldPinAndUnpin() throws Exception {
    String pin = "{\"expected\":null,\"snapshot\":\"" + second + "\",\"reason\":\"keep\"}";
    assertThat(put(MODEL + "/refs/launch", pin).statusCode()).isEqualTo(200);
    assertThat(get(MODEL + "/refs").body()).contains("launch", second);
    String unpin = "{\"expected\":\"" + second + "\",\"snapshot\":null,\"reason\":\"done\"}";
    assertThat(put(MODEL + "/refs/launch", unpin).statusCode()).isEqualTo(200);
    assertThat(get(MODEL + "/refs").body()).doesNotContain("launch");
  }

  @Test
  void shouldAskTheLoopWhenTheActiveRefIsMoved() throws Exception {
    answer =
        snapshot -> {
          store.activate("m", snapshot, new Reason("loop", "as asked"));
          return new Outcome.Done("serves");
        };
    assertThat(put(MODEL + "/refs/active", move(first, second)).statusCode()).isEqualTo(200);
    assertThat(store.ref("m", Ref.ACTIVE).map(Ref::snapshot)).contains(second);
    assertThat(control.asked()).containsExactly(new ModelControl.Request("local", "better"));
  }

  @Test
  void shouldAnswerConflictWhenTheLoopRefusesToMoveTheActiveRef() throws Exception {
    answer = snapshot -> new Outcome.Refused("canary runs");
    HttpResponse<String> refused = put(MODEL + "/refs/active", move(first, second));
    assertThat(refused.statusCode()).isEqualTo(409);
    assertThat(refused.body()).contains("canary runs");
    assertThat(store.ref("m", Ref.ACTIVE).map(Ref::snapshot)).contains(first);
  }

  @Test
  void shouldNotAskTheLoopWhenTheActiveRefIsNotWhereTheCallerThinks() throws Exception {
    HttpResponse<String> refused = put(MODEL + "/refs/active", move(second, second));
    assertThat(refused.statusCode()).isEqualTo(409);
    assertThat(control.asked()).isEmpty();
  }

  private String publish(int value) {
    ObjectNode plan = JSON.createObjectNode();
    plan.putArray("layers").addObject().put("block", "b");
    ObjectNode gate = JSON.createObjectNode().put("full", 1.5).put("candidate", 1.7);
    try (Publication publication = store.begin("m")) {
      publication.add(
          Tensor.floats(
              "b.groups.0.up.weight", DType.F32, List.of(2L), new float[] {value, value}));
      return publication
          .commit(
              new ManifestDraft(
                  Optional.empty(),
                  "smelt",
                  "drift",
                  "m-smoe",
                  "sha256:" + "0".repeat(64),
                  plan,
                  gate,
                  JSON.createObjectNode()))
          .id();
    }
  }

  private static String move(String expected, String target) {
    return "{\"expected\":\""
        + expected
        + "\",\"snapshot\":\""
        + target
        + "\",\"reason\":\"better\"}";
  }

  private HttpResponse<String> get(String path) throws Exception {
    return send(HttpRequest.newBuilder(uri(path)));
  }

  private HttpResponse<String> put(String path, String body) throws Exception {
    return send(
        HttpRequest.newBuilder(uri(path))
            .header("Content-Type", "application/json")
            .PUT(BodyPublishers.ofString(body)));
  }

  private static HttpResponse<String> send(HttpRequest.Builder request) throws Exception {
    return HttpClient.newHttpClient().send(request.build(), BodyHandlers.ofString());
  }

  private URI uri(String path) {
    return URI.create("http://127.0.0.1:" + port + path);
  }

  private static JsonNode json(HttpResponse<String> response) throws Exception {
    return JSON.readTree(response.body());
  }
}
