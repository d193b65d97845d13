package dev.smelt.tests;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.smelt.agent.Agent;
import dev.smelt.agent.config.ConfigFile;
import dev.smelt.agent.control.ModelControl.Outcome;
import dev.smelt.agent.control.ModelControl.Request;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.CompactNames;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import dev.smelt.store.export.Exporter;
import dev.smelt.store.http.StoreClient;
import dev.smelt.store.safetensors.Tensor;
import dev.smelt.store.snapshot.LogEntry;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.ManifestDraft;
import dev.smelt.store.snapshot.Publication;
import dev.smelt.store.snapshot.Ref;
import dev.smelt.store.snapshot.SnapshotStore;
import java.io.IOException;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The whole agent with each way to swap that does not push weights into the running engine. */
@Timeout(value = 5, unit = TimeUnit.MINUTES)
class SwapWaysIT {

  private static final String MODEL = "m";
  private static final Duration PATIENCE = Duration.ofMinutes(1);
  private static final Request PERSON = new Request("ada", "a test");
  private static final Path CHECKPOINT =
      Path.of(System.getProperty("smelt.home"), "tests", "fixtures", "byte-moe")
          .toAbsolutePath()
          .normalize();

  @TempDir Path folder;
  private final HttpClient http = HttpClient.newHttpClient();

  @AfterEach
  void stopEngines() {
    ProcessHandle.current().descendants().forEach(ProcessHandle::destroyForcibly);
  }

  @Test
  void shouldReplaceTheEngineAndFindTheOneThatServesAfterARestart() throws Exception {
    // Given
    int blue = freePort();
    int green = freePort();
    Process first = engine(blue);
    Path config =
        config(
            """
            swap: replace, format: compact,
                  blueGreen: {other: "http://127.0.0.1:%d", start: [%s]}"""
                .formatted(
                    green,
                    String.join(", ", quoted(command("{directory}", "{port}", "{snapshot}")))),
            blue);
    String snapshot;
    try (Agent agent = Agent.start(ConfigFile.read(config))) {
      awaitServed(agent);
      assertThat(answeredBy(agent)).isEqualTo("base");
      snapshot = publish(agent.store());

      // When
      Outcome outcome = agent.control(MODEL).activate(snapshot, PERSON).toCompletableFuture().get();

      // Then
      assertThat(outcome).isInstanceOf(Outcome.Done.class);
      assertThat(answeredBy(agent)).isEqualTo(snapshot);
    }

    // When
    first.destroyForcibly().waitFor();
    try (Agent again = Agent.start(ConfigFile.read(config))) {
      awaitServed(again);

      // Then
      assertThat(again.control(MODEL).status().served()).contains(snapshot);
      assertThat(answeredBy(again)).isEqualTo(snapshot);
      assertThat(
              again.control(MODEL).rollback(Optional.empty(), PERSON).toCompletableFuture().get())
          .isInstanceOf(Outcome.Done.class);
      assertThat(answeredBy(again)).isEqualTo("base");
    }
  }

  @Test
  void shouldWaitForAnEngineThatFollowsTheStore() throws Exception {
    // Given
    int port = freePort();
    engine(port);
    try (Agent agent =
        Agent.start(ConfigFile.read(config("swap: pull, format: compact, timeout: 1m", port)))) {
      Thread follower = new Thread(() -> follow(agent.api(), port), "engine-side follower");
      follower.setDaemon(true);
      follower.start();
      awaitServed(agent);
      String snapshot = publish(agent.store());

      // When
      Outcome outcome = agent.control(MODEL).activate(snapshot, PERSON).toCompletableFuture().get();

      // Then
      assertThat(outcome).isInstanceOf(Outcome.Done.class);
      assertThat(answeredBy(agent)).isEqualTo(snapshot);
    }
  }

  @Test
  void shouldSayEverywhereWhyTheTapRests() throws Exception {
    // Given an engine that was started without its flag
    int port = freePort();
    engine(port);
    Path config = config("swap: pull", port);
    Files.writeString(
        config,
        Files.readString(config)
            .replace("share: 0", "share: 1")
            .replace("dialect: sglang", "dialect: vllm"));
    try (Agent agent = Agent.start(ConfigFile.read(config))) {
      awaitServed(agent);

      // When
      for (int request = 0; request < 3; request++) {
        assertThat(answeredBy(agent)).isEqualTo("base");
      }

      // Then
      String reason = "start it with --enable-return-routed-experts";
      await().atMost(PATIENCE).until(() -> body(agent.management(), "/readyz").contains(reason));
      assertThat(body(agent.api(), "/v1/health")).contains(reason);
      assertThat(body(agent.management(), "/metrics"))
          .containsPattern("smelt_tap_faults_total\\{[^}]*reason=\"missing\"[^}]*\\} 3")
          .containsPattern("smelt_tap_resting\\{[^}]*\\} 1");
      assertThat(answeredBy(agent)).isEqualTo("base");
    }
  }

  private String body(URI server, String path) throws Exception {
    return http.send(
            HttpRequest.newBuilder(server.resolve(path)).timeout(PATIENCE).build(),
            BodyHandlers.ofString())
        .body();
  }

  /** What stands beside an engine that pulls: a copy of the store, and a load for each move. */
  private void follow(URI api, int port) {
    StoreClient client = new StoreClient(api, Optional.empty());
    SnapshotStore copy = SnapshotStore.open(folder.resolve("copy"), Clock.systemUTC());
    client.listen(MODEL, 0, entry -> load(client, copy, entry, port));
  }

  private void load(StoreClient client, SnapshotStore copy, LogEntry entry, int port) {
    if (!entry.ref().equals(Ref.ACTIVE)) {
      return;
    }
    Manifest manifest = client.fetch(copy, MODEL, entry.to().orElseThrow());
    Path weights = CHECKPOINT;
    if (!manifest.fullModel()) {
      weights = folder.resolve("pulled-" + entry.sequence());
      try (Checkpoint base = Checkpoint.open(CHECKPOINT)) {
        Exporter.compact(copy, manifest, base, weights);
      }
    }
    try {
      http.send(
          HttpRequest.newBuilder(
                  URI.create("http://127.0.0.1:" + port + "/update_weights_from_disk"))
              .header("content-type", "application/json")
              .timeout(PATIENCE)
              .POST(
                  BodyPublishers.ofString(
                      "{\"model_path\":\"%s\",\"weight_version\":\"%s\"}"
                          .formatted(weights, manifest.fullModel() ? "base" : manifest.id())))
              .build(),
          BodyHandlers.discarding());
    } catch (IOException | InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0)) {
      return socket.getLocalPort();
    }
  }

  private static List<String> command(String directory, String port, String version) {
    return List.of(
        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
        "-Xmx512m",
        "-cp",
        System.getProperty("java.class.path"),
        "dev.smelt.engine.ReferenceEngine",
        "--checkpoint",
        directory,
        "--port",
        port,
        "--model",
        MODEL,
        "--weight-version",
        version);
  }

  private static List<String> quoted(List<String> words) {
    return words.stream().map(word -> '"' + word + '"').toList();
  }

  private Process engine(int port) throws IOException {
    Process process =
        new ProcessBuilder(command(CHECKPOINT.toString(), Integer.toString(port), "base"))
            .inheritIO()
            .start();
    await()
        .atMost(PATIENCE)
        .ignoreExceptionsInstanceOf(IOException.class)
        .until(
            () ->
                http.send(
                            HttpRequest.newBuilder(
                                    URI.create("http://127.0.0.1:" + port + "/health"))
                                .timeout(PATIENCE)
                                .build(),
                            BodyHandlers.discarding())
                        .statusCode()
                    == 200);
    return process;
  }

  private Path config(String engine, int port) throws IOException {
    return Files.writeString(
        folder.resolve("smelt.yaml"),
        """
        data: data
        api: {port: 0}
        management: {port: 0}
        models:
          - name: m
            checkpoint: "%s"
            engine: {urls: ["http://127.0.0.1:%d"], dialect: sglang, %s}
            proxy: {port: 0, share: 0}
        """
            .formatted(CHECKPOINT, port, engine));
  }

  private static void awaitServed(Agent agent) {
    await().atMost(PATIENCE).until(() -> agent.control(MODEL).status().served().isPresent());
  }

  /** The weights that a client's answer was made with. */
  private String answeredBy(Agent agent) throws Exception {
    HttpResponse<String> answer =
        http.send(
            HttpRequest.newBuilder(agent.proxy(MODEL).resolve("/v1/completions"))
                .header("content-type", "application/json")
                .timeout(PATIENCE)
                .POST(BodyPublishers.ofString("{\"prompt\":\"The\",\"max_tokens\":2}"))
                .build(),
            BodyHandlers.ofString());
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    return answer.headers().firstValue("x-weight-version").orElse("none");
  }

  /** A snapshot in which each expert is a group of its own. */
  private static String publish(SnapshotStore store) {
    try (Checkpoint base = Checkpoint.open(CHECKPOINT);
        Publication publication = store.begin(MODEL)) {
      for (MoeBlock block : base.blocks()) {
        int[] map = new int[block.experts()];
        for (int expert = 0; expert < block.experts(); expert++) {
          map[expert] = expert;
          for (Role role : block.roles()) {
            publication.add(
                Tensor.floats(
                    CompactNames.weight(block.name(), expert, role),
                    base.expertDType(block, role),
                    block.shape(role),
                    base.expert(block, expert, role)));
          }
        }
        publication.add(
            Tensor.ints(CompactNames.map(block.name()), List.of((long) block.experts()), map));
      }
      return publication.commit(ManifestDraft.of("test", "by hand", "m-smoe", base.digest())).id();
    }
  }
}
