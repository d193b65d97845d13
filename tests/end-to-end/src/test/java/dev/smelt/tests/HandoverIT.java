package dev.smelt.tests;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.smelt.agent.broker.EmbeddedBroker;
import java.io.IOException;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Two agents as processes before one engine and one broker, of which one acts. */
@Timeout(value = 5, unit = TimeUnit.MINUTES)
class HandoverIT {

  private static final String MODEL = "byte-moe";
  private static final Duration LIMIT = Duration.ofSeconds(90);

  @TempDir static Path shared;
  private static EmbeddedBroker broker;
  private static JavaProcess engine;
  private static URI engineUrl;
  private static Path trace;

  @TempDir Path folder;
  private Path config;
  private Agent first;
  private Agent second;

  /** An agent that runs. */
  private record Agent(JavaProcess process, URI api, URI management) {

    private static final HttpClient CLIENT = HttpClient.newHttpClient();

    JsonNode status() throws IOException, InterruptedException {
      HttpRequest request = HttpRequest.newBuilder(api.resolve("/v1/models/" + MODEL)).build();
      return new ObjectMapper().readTree(CLIENT.send(request, BodyHandlers.ofString()).body());
    }

    String state() throws IOException, InterruptedException {
      return status().path("state").path("state").asText();
    }

    boolean acts() throws IOException, InterruptedException {
      return !state().equals("standby");
    }

    String readiness() throws IOException, InterruptedException {
      HttpRequest request = HttpRequest.newBuilder(management.resolve("/readyz")).build();
      return CLIENT.send(request, BodyHandlers.ofString()).body();
    }

    CompletableFuture<HttpResponse<String>> remerge() {
      HttpRequest request =
          HttpRequest.newBuilder(api.resolve("/v1/models/" + MODEL + "/remerge"))
              .header("content-type", "application/json")
              .POST(HttpRequest.BodyPublishers.ofString("{\"reason\": \"test\"}"))
              .build();
      return CLIENT.sendAsync(request, BodyHandlers.ofString());
    }
  }

  @BeforeAll
  static void startEngineAndBroker() throws IOException {
    broker = EmbeddedBroker.start(shared.resolve("kafka"));
    int port;
    try (ServerSocket socket = new ServerSocket(0)) {
      port = socket.getLocalPort();
    }
    engineUrl = URI.create("http://127.0.0.1:" + port);
    engine =
        JavaProcess.start(
            shared.resolve("engine.log"),
            "dev.smelt.engine.ReferenceEngine",
            "--checkpoint",
            CommandLineRun.fixture().toString(),
            "--model",
            MODEL,
            "--port",
            String.valueOf(port));
    Path text =
        Files.writeString(
            shared.resolve("c.txt"),
            Files.readString(CommandLineRun.fixture().resolve("heldout/c.txt"))
                .substring(0, 16_384));
    trace = shared.resolve("c.routing.safetensors");
    CommandLineRun traced =
        CommandLineRun.of(
            "trace",
            "--checkpoint",
            CommandLineRun.fixture().toString(),
            "--text",
            text.toString(),
            "-o",
            trace.toString());
    assertThat(traced.exitCode()).as(traced.err()).isZero();
    engine.awaitWords("(Serving)");
  }

  @AfterAll
  static void stopEngineAndBroker() {
    engine.close();
    broker.close();
  }

  @BeforeEach
  void startTwo(TestInfo test) throws IOException {
    config = folder.resolve("smelt.yaml");
    Files.writeString(
        config,
        """
        kafka: {bootstrapServers: "%s"}
        streams: {applicationId: %s, window: 1s, grace: 500ms, halfLife: 1h}
        api: {port: 0}
        management: {port: 0}
        models:
          - name: %s
            checkpoint: %s
            engine: {urls: ["%s"], dialect: sglang}
            proxy: {port: 0}
            compression: {averageGroups: 10}
            policy: {mode: observe, minimumTokens: 1000}
            canary: {window: 0s}
            gate: {texts: [%s], bytesPerText: 32768}
        """
            .formatted(
                broker.bootstrapServers(),
                test.getTestMethod().orElseThrow().getName(),
                MODEL,
                CommandLineRun.fixture(),
                engineUrl,
                CommandLineRun.fixture().resolve("heldout/c.txt")));
    first = start("first");
    second = start("second");
    await().atMost(LIMIT).until(() -> first.acts() || second.acts());
  }

  @AfterEach
  void stopBoth() {
    first.process().close();
    second.process().close();
  }

  @Test
  void shouldHandOverAndUndoWhenTheLeaderIsKilledInTheMiddleOfARemerge() throws Exception {
    Agent leader = leader();
    Agent other = other(leader);
    assertThat(other.readiness()).contains("standing by");
    assertThat(leader.readiness()).contains("this agent acts");
    awaitTraffic(leader, other);
    leader.remerge();
    await().atMost(LIMIT).pollInterval(Duration.ofMillis(50)).until(inState(leader, "gating"));

    leader.process().kill();

    await().atMost(LIMIT).until(() -> other.status().path("served").isTextual());
    await().atMost(LIMIT).until(inState(other, "observing"));
    assertThat(other.status().path("served")).isEqualTo(other.status().path("active"));
    assertThat(snapshots()).hasSize(1);

    awaitTraffic(other, other);
    assertThat(other.remerge().get(2, TimeUnit.MINUTES).body()).contains("\"done\"");
    assertThat(snapshots()).hasSize(2);
    CommandLineRun verified =
        CommandLineRun.of("store", "verify", "--store", folder.resolve("data/store").toString());
    assertThat(verified.exitCode()).as(verified.out() + verified.err()).isZero();
  }

  @Test
  void shouldKeepOutALeaderThatStoodStillInTheMiddleOfARemerge() throws Exception {
    Agent leader = leader();
    Agent other = other(leader);
    awaitTraffic(leader, other);
    leader.remerge();
    await().atMost(LIMIT).pollInterval(Duration.ofMillis(50)).until(inState(leader, "gating"));

    leader.process().stop();
    await().atMost(LIMIT).until(other::acts);
    awaitTraffic(other, other);
    assertThat(other.remerge().get(2, TimeUnit.MINUTES).body()).contains("\"done\"");
    String active = other.status().path("active").asText();
    leader.process().goOn();

    await().atMost(LIMIT).until(() -> !leader.acts());
    await().atMost(LIMIT).until(inState(other, "observing"));
    assertThat(other.status().path("active").asText()).isEqualTo(active);
    assertThat(other.status().path("served").asText()).isEqualTo(active);
    assertThat(leader.status().path("active").asText()).isEqualTo(active);
    assertThat(leader.remerge().get(1, TimeUnit.MINUTES).body()).contains("ask the one that acts");
    JsonNode state =
        new ObjectMapper()
            .readTree(folder.resolve("data/models").resolve(MODEL).resolve("state.json").toFile());
    assertThat(state.path("state").path("state").asText()).isEqualTo("observing");
  }

  private Agent start(String name) throws IOException {
    JavaProcess process =
        JavaProcess.start(
            folder.resolve(name + ".log"), "dev.smelt.ops.Smelt", "up", "-c", config.toString());
    URI api = URI.create(process.awaitWords("dashboard and API at (\\S+)"));
    return new Agent(process, api, URI.create(process.awaitWords("health and metrics at (\\S+)")));
  }

  private Agent leader() throws IOException, InterruptedException {
    return first.acts() ? first : second;
  }

  private Agent other(Agent agent) {
    return agent == first ? second : first;
  }

  /** Sends routing decisions to one agent until the one that acts knows enough. */
  private static void awaitTraffic(Agent acts, Agent taps) {
    await()
        .atMost(LIMIT)
        .pollInterval(Duration.ofSeconds(1))
        .until(
            () -> {
              CommandLineRun.of(
                  "replay", trace.toString(), "--model", MODEL, "--to", taps.api().toString());
              return acts.status().path("profileTokens").asDouble() > 1_000
                  && acts.state().equals("observing");
            });
  }

  private static java.util.concurrent.Callable<Boolean> inState(Agent agent, String state) {
    return () -> agent.state().equals(state);
  }

  private List<Path> snapshots() throws IOException {
    Path models = folder.resolve("data/store/models").resolve(MODEL).resolve("snapshots");
    try (var files = Files.list(models)) {
      return files.filter(file -> file.toString().endsWith(".json")).toList();
    }
  }
}
