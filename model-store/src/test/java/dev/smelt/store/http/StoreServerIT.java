package dev.smelt.store.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.Tensor;
import dev.smelt.store.snapshot.LogEntry;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.ManifestDraft;
import dev.smelt.store.snapshot.Publication;
import dev.smelt.store.snapshot.Reason;
import dev.smelt.store.snapshot.Ref;
import dev.smelt.store.snapshot.RefUpdate;
import dev.smelt.store.snapshot.SnapshotStore;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class StoreServerIT {

  private static final String MODEL = "tiny";
  private static final String OPERATOR = "operator-secret-0123456789";
  private static final String VIEWER = "viewer-secret-0123456789";
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path folder;
  private final Vertx vertx = Vertx.vertx();
  private final HttpClient http =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  private SnapshotStore store;
  private StoreServer server;

  @BeforeEach
  void start() {
    store = SnapshotStore.open(folder.resolve("store"), Clock.systemUTC());
    server =
        join(
            StoreServer.start(
                vertx,
                store,
                Listen.loopback(0),
                AccessControl.tokens(
                    Map.of(
                        OPERATOR,
                        new Caller("olga", Caller.Role.OPERATOR),
                        VIEWER,
                        new Caller("viktor", Caller.Role.VIEWER))),
                new StoreLimits(1 << 20, 1 << 20, 2, 2, 100)));
  }

  @AfterEach
  void stop() {
    join(vertx.close());
  }

  private static <T> T join(Future<T> future) {
    return future.toCompletionStage().toCompletableFuture().join();
  }

  private Manifest publish(SnapshotStore into, float... values) {
    try (Publication publication = into.begin(MODEL)) {
      publication.add(Tensor.ints("block.experts.map", List.of(2L), new int[] {0, 1}));
      for (int group = 0; group < values.length; group++) {
        publication.add(
            Tensor.floats(
                "block.groups." + group + ".up.weight",
                DType.F32,
                List.of(1L),
                new float[] {values[group]}));
      }
      return publication.commit(ManifestDraft.of("test", "test", "m-smoe", "sha256:0"));
    }
  }

  private URI uri(String path) {
    return URI.create("http://127.0.0.1:" + server.port() + path);
  }

  private StoreClient client(String token) {
    return new StoreClient(uri("/"), Optional.of(token));
  }

  private HttpResponse<String> call(String method, String path, String token, String body)
      throws Exception {
    return http.send(
        HttpRequest.newBuilder(uri(path))
            .header("Authorization", "Bearer " + token)
            .method(method, BodyPublishers.ofString(body))
            .build(),
        BodyHandlers.ofString());
  }

  private static void assertProblem(HttpResponse<String> response, int status, String detail)
      throws Exception {
    assertThat(response.statusCode()).isEqualTo(status);
    assertThat(response.headers().firstValue("Content-Type")).contains("application/problem+json");
    JsonNode problem = JSON.readTree(response.body());
    assertThat(problem.path("status").asInt()).isEqualTo(status);
    assertThat(problem.path("detail").asText()).contains(detail);
  }

  @Test
  void shouldListAndShowSnapshots() throws Exception {
    Manifest first = publish(store, 1, 2);
    Manifest second = publish(store, 1, 3);

    assertThat(client(VIEWER).snapshots(MODEL))
        .extracting(node -> node.path("id").asText())
        .containsExactly(second.id(), first.id());
    assertThat(client(VIEWER).manifest(MODEL, first.id())).isEqualTo(first);
    JsonNode diff = client(VIEWER).diff(MODEL, first.id(), second.id());
    assertThat(diff.path("changed").toString()).isEqualTo("[\"block.groups.1.up.weight\"]");
    assertThat(diff.path("groups").toString()).isEqualTo("{\"block\":[1]}");
    assertThat(diff.path("experts").toString()).isEqualTo("{\"block\":[1]}");
    assertThat(diff.path("bytesToFetch").asLong()).isEqualTo(4);
  }

  @Test
  void shouldMoveARefForAnOperatorAndLogWhoAndWhy() {
    Manifest first = publish(store, 1);
    RefUpdate update =
        client(OPERATOR)
            .moveRef(MODEL, "active", Optional.empty(), first.id(), new Reason("x", "try it"));
    assertThat(update).isInstanceOf(RefUpdate.Moved.class);
    LogEntry entry = store.log(MODEL).get(0);
    assertThat(entry.reason()).isEqualTo(new Reason("olga", "try it"));
    assertThat(client(VIEWER).ref(MODEL, "active")).contains(first.id());
    assertThat(client(VIEWER).log(MODEL, 0)).containsExactly(entry);
  }

  @Test
  void shouldAnswerConflictWhenARefPointsElsewhere() {
    Manifest first = publish(store, 1);
    store.activate(MODEL, first.id(), new Reason("a", "b"));
    assertThat(
            client(OPERATOR)
                .moveRef(MODEL, "active", Optional.empty(), first.id(), new Reason("x", "y")))
        .isEqualTo(new RefUpdate.Conflict(Optional.of(first.id())));
  }

  @Test
  void shouldRollBackOnceUnderTheSameKey() {
    Manifest first = publish(store, 1);
    Manifest second = publish(store, 2);
    store.activate(MODEL, first.id(), new Reason("a", "b"));
    store.activate(MODEL, second.id(), new Reason("a", "b"));
    Reason keyed = new Reason("x", "worse", Optional.of("key-1"));
    RefUpdate once = client(OPERATOR).rollback(MODEL, Optional.empty(), keyed);
    assertThat(client(OPERATOR).rollback(MODEL, Optional.empty(), keyed)).isEqualTo(once);
    assertThat(store.ref(MODEL, "active").map(Ref::snapshot)).contains(first.id());
    assertThat(store.log(MODEL)).hasSize(3);
  }

  @Test
  void shouldRefuseAChangeWithoutAReason() throws Exception {
    Manifest first = publish(store, 1);
    assertProblem(
        call(
            "PUT",
            "/v1/models/tiny/refs/active",
            OPERATOR,
            "{\"expected\":null,\"snapshot\":\"" + first.id() + "\"}"),
        422,
        "'reason' is missing");
  }

  @Test
  void shouldRefuseAViewersChange() throws Exception {
    assertProblem(
        call("POST", "/v1/models/tiny/rollback", VIEWER, "{\"reason\":\"x\"}"),
        403,
        "viktor may only read");
  }

  @Test
  void shouldRefuseACallWithoutAValidToken() throws Exception {
    assertProblem(call("GET", "/v1/models/tiny/refs", "wrong", ""), 401, "bearer token");
  }

  @Test
  void shouldSetSecurityHeaders() throws Exception {
    HttpResponse<String> response = call("GET", "/v1/models/tiny/refs", VIEWER, "");
    assertThat(response.headers().firstValue("X-Content-Type-Options")).contains("nosniff");
    assertThat(response.headers().firstValue("Content-Security-Policy"))
        .hasValueSatisfying(policy -> assertThat(policy).contains("default-src 'none'"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "..",
        "%2e%2e",
        "..%2f..%2fetc",
        "%2fetc%2fpasswd",
        "a%00b",
        "..%5c..%5cx",
        "C:%5cx",
        "nul",
        "COM1.txt",
        ".hidden",
        "a%2fb",
        "%252e%252e",
        "trailing."
      })
  void shouldRefuseNamesThatAreNoIds(String name) throws Exception {
    Files.createDirectories(folder.resolve("store/models"));
    for (String path :
        List.of(
            "/v1/models/" + name + "/refs/active",
            "/v1/models/tiny/refs/" + name,
            "/v1/models/tiny/snapshots/" + name,
            "/v1/models/tiny/blobs/" + name)) {
      // A raw socket: ordinary clients resolve such paths before they send them.
      assertThat(rawStatus(path)).as(path).isIn(400, 404);
    }
  }

  private int rawStatus(String path) throws IOException {
    try (Socket socket = new Socket("127.0.0.1", server.port())) {
      OutputStream out = socket.getOutputStream();
      out.write(
          ("GET "
                  + path
                  + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
                  + VIEWER
                  + "\r\nConnection: close\r\n\r\n")
              .getBytes(StandardCharsets.ISO_8859_1));
      String answer =
          new String(socket.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
      return Integer.parseInt(answer.substring(9, 12));
    }
  }

  @Test
  void shouldRefuseARefFileThatIsASymbolicLink() throws Exception {
    Manifest first = publish(store, 1);
    store.activate(MODEL, first.id(), new Reason("a", "b"));
    Path refs = folder.resolve("store/models/tiny/refs");
    Files.createSymbolicLink(refs.resolve("link"), refs.resolve("active"));
    assertThat(call("GET", "/v1/models/tiny/refs/link", VIEWER, "").statusCode())
        .isGreaterThanOrEqualTo(400);
  }

  @ParameterizedTest
  @ValueSource(strings = {"bytes=0-1", "bytes=2-", "bytes=-1", "bytes=0-0"})
  void shouldServeByteRanges(String range) throws Exception {
    Manifest first = publish(store, 1.5f);
    byte[] all = {0, 0, (byte) 0xc0, 0x3f};
    HttpResponse<byte[]> response =
        http.send(
            HttpRequest.newBuilder(
                    uri(
                        "/v1/models/tiny/snapshots/"
                            + first.id()
                            + "/tensors/block.groups.0.up.weight"))
                .header("Authorization", "Bearer " + VIEWER)
                .header("Range", range)
                .build(),
            BodyHandlers.ofByteArray());
    byte[] expected =
        switch (range) {
          case "bytes=0-1" -> new byte[] {all[0], all[1]};
          case "bytes=2-" -> new byte[] {all[2], all[3]};
          case "bytes=-1" -> new byte[] {all[3]};
          default -> new byte[] {all[0]};
        };
    assertThat(response.statusCode()).isEqualTo(206);
    assertThat(response.body()).isEqualTo(expected);
    assertThat(response.headers().firstValue("Smelt-DType")).contains("F32");
  }

  @Test
  void shouldRefuseARangeBeyondTheEnd() throws Exception {
    Manifest first = publish(store, 1.5f);
    String digest = first.tensors().get("block.groups.0.up.weight").digest();
    HttpResponse<String> response =
        http.send(
            HttpRequest.newBuilder(uri("/v1/models/tiny/blobs/" + digest))
                .header("Authorization", "Bearer " + VIEWER)
                .header("Range", "bytes=4-")
                .build(),
            BodyHandlers.ofString());
    assertProblem(response, 416, "has 4 bytes");
    assertThat(response.headers().firstValue("Content-Range")).contains("bytes */4");
  }

  @Test
  void shouldPublishThroughUploads() {
    SnapshotStore local = SnapshotStore.open(folder.resolve("local"), Clock.systemUTC());
    Manifest mine = publish(local, 1, 2);
    Manifest theirs = client(OPERATOR).publish(local, mine);
    assertThat(theirs.publisher()).isEqualTo("olga");
    assertThat(theirs.tensors()).isEqualTo(mine.tensors());
    store.check(theirs);
  }

  @Test
  void shouldRefuseAnUploadWithAnotherDigestAndKeepNothing() throws Exception {
    String digest = "sha256:" + "0".repeat(64);
    assertProblem(
        call("PUT", "/v1/models/tiny/blobs/" + digest, OPERATOR, "hello"), 422, "have digest");
    assertThat(store.holds(digest)).isFalse();
    await()
        .untilAsserted(
            () -> {
              try (Stream<Path> left = Files.list(folder.resolve("store/tmp"))) {
                assertThat(left).isEmpty();
              }
            });
  }

  @Test
  void shouldKeepNothingOfAnUploadThatBreaksOff() throws Exception {
    Path receiving = folder.resolve("store/tmp");
    try (Socket socket = new Socket("127.0.0.1", server.port())) {
      socket
          .getOutputStream()
          .write(
              ("PUT /v1/models/tiny/blobs/sha256:"
                      + "0".repeat(64)
                      + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
                      + "Authorization: Bearer "
                      + OPERATOR
                      + "\r\n\r\nonly this")
                  .getBytes(StandardCharsets.ISO_8859_1));
      await().until(() -> Files.isDirectory(receiving) && count(receiving) == 1);
    }
    await().until(() -> count(receiving) == 0);
    assertThat(call("GET", "/v1/models/tiny/refs", VIEWER, "").statusCode()).isEqualTo(200);
  }

  private static long count(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.count();
    }
  }

  @Test
  void shouldRefuseAnUploadBeyondTheLimit() throws Exception {
    String digest = "sha256:" + "0".repeat(64);
    try (Socket socket = new Socket("127.0.0.1", server.port())) {
      socket
          .getOutputStream()
          .write(
              ("PUT /v1/models/tiny/blobs/"
                      + digest
                      + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n"
                      + "Authorization: Bearer "
                      + OPERATOR
                      + "\r\n\r\n")
                  .getBytes(StandardCharsets.ISO_8859_1));
      String answer =
          new String(socket.getInputStream().readNBytes(12), StandardCharsets.ISO_8859_1);
      assertThat(answer).isEqualTo("HTTP/1.1 413");
    }
  }

  @Test
  void shouldStreamMovesAndResumeAfterTheLastOneSeen() throws Exception {
    Manifest first = publish(store, 1);
    Manifest second = publish(store, 2);
    store.activate(MODEL, first.id(), new Reason("a", "one"));
    List<LogEntry> heard = new CopyOnWriteArrayList<>();
    CompletableFuture<Long> listening =
        CompletableFuture.supplyAsync(() -> client(VIEWER).listen(MODEL, 0, heard::add));
    await().untilAsserted(() -> assertThat(heard).hasSize(1));
    store.activate(MODEL, second.id(), new Reason("a", "two"));
    await().untilAsserted(() -> assertThat(heard).hasSize(2));
    assertThat(heard).isEqualTo(store.log(MODEL));

    SnapshotStore elsewhere = SnapshotStore.open(folder.resolve("store"), Clock.systemUTC());
    elsewhere.activate(MODEL, first.id(), new Reason("a", "by another process"));
    await().untilAsserted(() -> assertThat(heard).hasSize(3));

    join(server.close());
    long last = listening.get();
    assertThat(last).isEqualTo(3);
  }

  @Test
  void shouldKeepACopyInStepFetchingOnlyWhatIsMissing() throws Exception {
    Manifest first = publish(store, 1, 2);
    store.activate(MODEL, first.id(), new Reason("a", "b"));
    SnapshotStore copy = SnapshotStore.open(folder.resolve("copy"), Clock.systemUTC());
    assertThat(client(VIEWER).follow(copy, MODEL, "active")).contains(first);
    copy.check(first);

    Manifest second = publish(store, 1, 3);
    store.activate(MODEL, second.id(), new Reason("a", "b"));
    client(VIEWER).follow(copy, MODEL, "active");

    assertThat(copy.ref(MODEL, "active").map(Ref::snapshot)).contains(second.id());
    assertThat(copy.ref(MODEL, "previous").map(Ref::snapshot)).contains(first.id());
    copy.check(second);
  }

  @Test
  void shouldResumeABrokenTransfer() throws Exception {
    byte[] bytes = new byte[300_000];
    new Random(1).nextBytes(bytes);
    Manifest manifest;
    try (Publication publication = store.begin(MODEL)) {
      publication.add(Tensor.raw("t", DType.U8, List.of(300_000L), bytes));
      manifest = publication.commit(ManifestDraft.of("test", "test", "m-smoe", "sha256:0"));
    }
    SnapshotStore copy = SnapshotStore.open(folder.resolve("copy"), Clock.systemUTC());
    try (var partial = copy.resume(manifest.tensors().get("t").digest())) {
      partial.write(java.nio.ByteBuffer.wrap(bytes, 0, 100_000));
    }
    client(VIEWER).fetch(copy, MODEL, manifest.id());
    copy.check(manifest);
  }

  @Test
  void shouldGoOnWhereTheConnectionBroke() throws Exception {
    byte[] bytes = new byte[300_000];
    new Random(1).nextBytes(bytes);
    Manifest manifest;
    try (Publication publication = store.begin(MODEL)) {
      publication.add(Tensor.raw("t", DType.U8, List.of(300_000L), bytes));
      manifest = publication.commit(ManifestDraft.of("test", "test", "m-smoe", "sha256:0"));
    }
    SnapshotStore copy = SnapshotStore.open(folder.resolve("copy"), Clock.systemUTC());
    try (BreakingRelay relay = new BreakingRelay(server.port(), 120_000)) {
      new StoreClient(relay.uri(), Optional.of(VIEWER)).fetch(copy, MODEL, manifest.id());
      assertThat(relay.ranges()).hasSizeGreaterThan(2).startsWith("bytes=0-299999");
      assertThat(relay.ranges()).doesNotHaveDuplicates();
    }
    copy.check(manifest);
  }

  @Test
  void shouldStartATransferAnewWhenWhatWasReceivedIsDamaged() throws Exception {
    Manifest manifest = publish(store, 1);
    SnapshotStore copy = SnapshotStore.open(folder.resolve("copy"), Clock.systemUTC());
    try (var partial = copy.resume(manifest.tensors().get("block.groups.0.up.weight").digest())) {
      partial.write(java.nio.ByteBuffer.wrap(new byte[] {9, 9}));
    }
    client(VIEWER).fetch(copy, MODEL, manifest.id());
    copy.check(manifest);
  }

  @Test
  void shouldAnswerProblemsToPathsAndMethodsThatAreNotThere() throws Exception {
    assertProblem(call("GET", "/v1/else", VIEWER, ""), 404, "no such resource");
    assertProblem(call("DELETE", "/v1/models/tiny/refs/x", OPERATOR, ""), 405, "not this");
  }

  @Test
  void shouldRefuseToListenElsewhereWithoutTokens() {
    Listen everywhere = new Listen("0.0.0.0", 0, new Listen.Transport.Plain());
    assertThatThrownBy(() -> everywhere.options(AccessControl.local()))
        .hasMessageContaining("configure a token");
  }

  @Test
  void shouldRefuseToSendTokensInPlainTextUnlessToldSo() {
    AccessControl tokens =
        AccessControl.tokens(Map.of(VIEWER, new Caller("v", Caller.Role.VIEWER)));
    assertThatThrownBy(() -> new Listen("0.0.0.0", 0, new Listen.Transport.Plain()).options(tokens))
        .hasMessageContaining("configure TLS");
    assertThat(
            new Listen("0.0.0.0", 0, new Listen.Transport.PlainOnPurpose()).options(tokens).isSsl())
        .isFalse();
  }

  @Test
  void shouldRefuseAForeignHostNameWhereNoTokenIsConfigured() throws Exception {
    StoreServer open =
        join(StoreServer.start(vertx, store, Listen.loopback(0), AccessControl.local()));
    try (Socket socket = new Socket("127.0.0.1", open.port())) {
      socket
          .getOutputStream()
          .write(
              "GET /v1/models/tiny/refs HTTP/1.1\r\nHost: evil.example\r\n\r\n"
                  .getBytes(StandardCharsets.ISO_8859_1));
      InputStream in = socket.getInputStream();
      assertThat(new String(in.readNBytes(12), StandardCharsets.ISO_8859_1))
          .isEqualTo("HTTP/1.1 403");
    }
  }
}
