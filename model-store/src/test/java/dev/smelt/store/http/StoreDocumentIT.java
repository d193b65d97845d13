package dev.smelt.store.http;

import static org.assertj.core.api.Assertions.assertThat;

import dev.smelt.store.safetensors.Tensor;
import dev.smelt.store.snapshot.ManifestDraft;
import dev.smelt.store.snapshot.Publication;
import dev.smelt.store.snapshot.Reason;
import dev.smelt.store.snapshot.Ref;
import dev.smelt.store.snapshot.SnapshotStore;
import dev.smelt.store.snapshot.StoredTensor;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.json.JsonObject;
import io.vertx.ext.web.Router;
import io.vertx.json.schema.Draft;
import io.vertx.json.schema.JsonSchema;
import io.vertx.json.schema.JsonSchemaOptions;
import io.vertx.json.schema.OutputUnit;
import io.vertx.json.schema.Validator;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The OpenAPI document against the server, both ways. */
class StoreDocumentIT {

  private static final String MODEL = "/v1/models/{model}";
  private static final String SNAPSHOTS = MODEL + "/snapshots";
  private static final String TENSOR = SNAPSHOTS + "/{id}/tensors/{tensor}";
  private static final String BLOB = MODEL + "/blobs/{digest}";
  private static final String REF = MODEL + "/refs/{name}";
  private static final String HELLO =
      "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

  @TempDir Path folder;
  private final Vertx vertx = Vertx.vertx();
  private final HttpClient http =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  private final Set<String> answered = new TreeSet<>();
  private JsonObject document;
  private SnapshotStore store;
  private StoreServer server;
  private StoredTensor tensor;
  private String first;
  private String second;

  @BeforeEach
  void start() throws Exception {
    document = new JsonObject(Buffer.buffer(StoreRoutes.openApi()));
    store = SnapshotStore.open(folder, Clock.systemUTC());
    first = publish(1);
    second = publish(2);
    store.activate("m", first, new Reason("test", "first"));
    store.activate("m", second, new Reason("test", "second"));
    server = StoreServer.start(vertx, store, Listen.loopback(0), AccessControl.local()).await();
  }

  @AfterEach
  void stop() {
    vertx.close().await();
  }

  private String publish(int value) {
    try (Publication publication = store.begin("m")) {
      publication.add(Tensor.ints("b.groups.0.up.weight", List.of(1L), new int[] {value}));
      var manifest = publication.commit(ManifestDraft.of("test", "test", "m-smoe", "sha256:0"));
      tensor = manifest.tensors().get("b.groups.0.up.weight");
      return manifest.id();
    }
  }

  @Test
  void shouldDescribeEveryRouteAndNoOther() {
    Router router = Router.router(vertx);
    StoreRoutes.mount(
        vertx, router, store, ActiveRef.of(store), AccessControl.local(), StoreLimits.DEFAULT);
    Set<String> routes =
        router.getRoutes().stream()
            .map(
                route ->
                    route.methods().iterator().next().name().toLowerCase(Locale.ROOT)
                        + " "
                        + route.getPath().replaceAll(":(\\w+)", "{$1}"))
            .collect(Collectors.toCollection(TreeSet::new));
    assertThat(described()).isEqualTo(routes);
  }

  private Set<String> described() {
    JsonObject paths = document.getJsonObject("paths");
    return paths.fieldNames().stream()
        .flatMap(
            path ->
                paths.getJsonObject(path).fieldNames().stream().map(method -> method + " " + path))
        .collect(Collectors.toCollection(TreeSet::new));
  }

  @Test
  void shouldAnswerEveryOperationAsDescribed() throws Exception {
    check("get", "/v1/store/openapi.json", "", 200);
    check("get", SNAPSHOTS, "", 200);
    check("get", SNAPSHOTS + "/{id}", "", 200);
    check("get", TENSOR, "", 200);
    check("get", TENSOR, "", 206, "Range", "bytes=0-1");
    check("get", TENSOR, "", 416, "Range", "bytes=4-");
    check("get", BLOB, "", 200);
    check("get", BLOB, "", 206, "Range", "bytes=0-1");
    check("get", BLOB, "", 304, "If-None-Match", '"' + tensor.digest() + '"');
    check("put", BLOB, "hello", 422);
    tensor = new StoredTensor(tensor.dtype(), tensor.shape(), HELLO, 5);
    check("put", BLOB, "hello", 201);
    check("post", SNAPSHOTS, "{}", 422);
    check(
        "post",
        SNAPSHOTS,
        new JsonObject()
            .put("trigger", "test")
            .put("strategy", "m-smoe")
            .put("checkpointDigest", "sha256:0")
            .put(
                "tensors",
                new JsonObject()
                    .put(
                        "t",
                        new JsonObject()
                            .put("dtype", "U8")
                            .put("shape", List.of(5))
                            .put("digest", HELLO)
                            .put("bytes", 5)))
            .encode(),
        201);
    check("get", MODEL + "/refs", "", 200);
    check("get", REF, "", 200);
    check("put", REF, move(Optional.of(first)), 409);
    check("put", REF, "{}", 422);
    check("put", REF, move(Optional.of(second)), 200);
    check("post", MODEL + "/rollback", "{}", 422);
    check("post", MODEL + "/rollback", "{\"reason\":\"worse\"}", 200);
    check("get", MODEL + "/diff?from=" + first + "&to=" + second, "", 200);
    check("get", MODEL + "/log", "", 200);
    check("get", MODEL + "/log?limit=none", "", 400);
    events();
    assertThat(answered).isEqualTo(described());
  }

  private String move(Optional<String> expected) {
    return new JsonObject()
        .put("expected", expected.orElse(null))
        .put("snapshot", first)
        .put("reason", "better")
        .encode();
  }

  @Test
  void shouldAnswerAsDescribedWhereARefIsNotThere() throws Exception {
    HttpResponse<byte[]> answer = send("get", "/v1/models/m/refs/nowhere", "");
    assertThat(answer.statusCode()).isEqualTo(404);
    assertValid(answer, document.getJsonObject("paths").getJsonObject(REF).getJsonObject("get"));
  }

  private void events() throws Exception {
    HttpResponse<java.io.InputStream> answer =
        http.send(
            HttpRequest.newBuilder(uri("/v1/models/m/events"))
                .timeout(Duration.ofSeconds(30))
                .build(),
            BodyHandlers.ofInputStream());
    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(answer.headers().firstValue("Content-Type")).contains("text/event-stream");
    answer.body().close();
    answered.add("get " + MODEL + "/events");
  }

  private void check(String method, String path, String body, int status, String... headers)
      throws Exception {
    String concrete =
        path.replace("{model}", "m")
            .replace("{id}", first)
            .replace("{tensor}", "b.groups.0.up.weight")
            .replace("{digest}", tensor.digest())
            .replace("{name}", Ref.ACTIVE);
    HttpResponse<byte[]> answer = send(method, concrete, body, headers);
    assertThat(answer.statusCode()).as("%s %s", method, concrete).isEqualTo(status);
    String described = path.split("\\?", 2)[0];
    assertValid(
        answer, document.getJsonObject("paths").getJsonObject(described).getJsonObject(method));
    answered.add(method + " " + described);
  }

  private HttpResponse<byte[]> send(String method, String path, String body, String... headers)
      throws Exception {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(uri(path))
            .timeout(Duration.ofSeconds(30))
            .method(method.toUpperCase(Locale.ROOT), BodyPublishers.ofString(body));
    if (headers.length > 0) {
      request.headers(headers);
    }
    return http.send(request.build(), BodyHandlers.ofByteArray());
  }

  private URI uri(String path) {
    return URI.create("http://127.0.0.1:" + server.port() + path);
  }

  /** The status is listed, the media type is, and a JSON body has the shape that stands there. */
  private void assertValid(HttpResponse<byte[]> answer, JsonObject operation) {
    JsonObject responses = operation.getJsonObject("responses");
    String status = String.valueOf(answer.statusCode());
    JsonObject response =
        responses.getJsonObject(responses.containsKey(status) ? status : "default");
    JsonObject content = response.getJsonObject("content", new JsonObject());
    String type = answer.headers().firstValue("Content-Type").orElse("");
    if (answer.body().length == 0) {
      assertThat(content).isEmpty();
      return;
    }
    assertThat(content.fieldNames()).as("%s", answer.uri()).contains(type);
    if (type.endsWith("json")) {
      JsonObject schema = content.getJsonObject(type).getJsonObject("schema");
      if (schema != null) {
        assertValid(schema, new JsonObject(Buffer.buffer(answer.body())), answer.uri());
      }
    }
  }

  private void assertValid(JsonObject schema, JsonObject body, URI where) {
    JsonObject whole = schema.copy().put("components", document.getJsonObject("components"));
    OutputUnit result =
        Validator.create(
                JsonSchema.of(whole),
                new JsonSchemaOptions()
                    .setDraft(Draft.DRAFT202012)
                    .setBaseUri("https://smelt.invalid/"))
            .validate(body);
    assertThat(result.getValid())
        .as("%s: %s does not fit: %s", where, body, result.toJson())
        .isTrue();
  }
}
