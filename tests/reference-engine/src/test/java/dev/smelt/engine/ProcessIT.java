package dev.smelt.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.smelt.store.safetensors.SafetensorsFile;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ProcessIT {

  @TempDir private Path folder;

  @Test
  void shouldServeUntilItIsEnded() throws Exception {
    int port = freePort();
    Process process =
        start("--checkpoint", Fixture.CHECKPOINT.toString(), "--port", String.valueOf(port));
    try {
      await()
          .atMost(Duration.ofSeconds(60))
          .ignoreExceptions()
          .until(
              () ->
                  HttpClient.newHttpClient()
                          .send(
                              HttpRequest.newBuilder(
                                      URI.create("http://127.0.0.1:" + port + "/health"))
                                  .build(),
                              BodyHandlers.discarding())
                          .statusCode()
                      == 200);
    } finally {
      process.destroy();
    }
    assertThat(process.waitFor(20, TimeUnit.SECONDS)).isTrue();
  }

  @Test
  void shouldNameAMissingCheckpoint() throws Exception {
    assertFails(
        1,
        "reference-engine: /no/such/folder: no such file or folder",
        "--checkpoint",
        "/no/such/folder");
  }

  @Test
  void shouldNameAnUnknownArchitecture() throws Exception {
    Files.copy(
        Fixture.CHECKPOINT.resolve("model.safetensors"), folder.resolve("model.safetensors"));
    Files.writeString(folder.resolve("config.json"), "{\"model_type\":\"gpt2\"}");

    assertFails(1, "unknown architecture, model_type is 'gpt2'", "--checkpoint", folder.toString());
  }

  @Test
  void shouldNameABusyPort() throws Exception {
    try (ServerSocket busy = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      assertFails(
          1,
          "reference-engine: can't listen on 127.0.0.1:" + busy.getLocalPort(),
          "--checkpoint",
          Fixture.CHECKPOINT.toString(),
          "--port",
          String.valueOf(busy.getLocalPort()));
    }
  }

  @Test
  void shouldSayWhichOptionIsMissing() throws Exception {
    assertFails(2, "Missing required option: '--checkpoint");
  }

  @Test
  void shouldSendRoutingTracesToATap() throws Exception {
    Vertx vertx = Vertx.vertx();
    BlockingQueue<Buffer> received = new LinkedBlockingQueue<>();
    try {
      int port = listen(vertx, "/v1/tap/byte-moe", received);
      try (Engine engine =
          Engine.startTapped(Fixture.CHECKPOINT, URI.create("http://127.0.0.1:" + port))) {
        engine.post("/v1/completions", "{\"prompt\":\"The first\",\"max_tokens\":3}");

        Path file = folder.resolve("received.safetensors");
        Files.write(file, received.poll(30, TimeUnit.SECONDS).getBytes());
        try (SafetensorsFile trace = SafetensorsFile.open(file)) {
          String block = "model.layers.3.block_sparse_moe";
          assertThat(trace.metadata())
              .containsEntry("model", "byte-moe")
              .containsEntry("requests", "1");
          assertThat(trace.tensor(block + ".selected_experts").shape()).containsExactly(12L, 2L);
          assertThat(trace.tensor(block + ".router_logits").shape()).containsExactly(12L, 16L);
          assertThat(trace.tensor(block + ".routing_weights").shape()).containsExactly(12L, 2L);
        }
      }
    } finally {
      vertx.close().toCompletionStage().toCompletableFuture().join();
    }
  }

  @Test
  void shouldSendSecondMomentsOfTheFirstWeightsToATap() throws Exception {
    Vertx vertx = Vertx.vertx();
    BlockingQueue<Buffer> received = new LinkedBlockingQueue<>();
    try {
      int port = listen(vertx, "/v1/tap/byte-moe/moments", received);
      try (Engine engine =
          Engine.startTapped(Fixture.CHECKPOINT, URI.create("http://127.0.0.1:" + port))) {
        engine.post("/v1/completions", "{\"prompt\":\"The first\",\"max_tokens\":3}");

        Path file = folder.resolve("received.moments.safetensors");
        Files.write(file, received.poll(30, TimeUnit.SECONDS).getBytes());
        try (SafetensorsFile moments = SafetensorsFile.open(file)) {
          String block = "model.layers.3.block_sparse_moe.moments.";
          double[] tokens = moments.doubles(block + "tokens");
          assertThat(Arrays.stream(tokens).sum()).isEqualTo(24);
          int expert =
              IntStream.range(0, tokens.length)
                  .filter(e -> tokens[e] > 0)
                  .findFirst()
                  .orElseThrow();
          assertThat(moments.tensor(block + expert + ".activations").shape())
              .containsExactly(256L, 256L);
        }
      }
    } finally {
      vertx.close().toCompletionStage().toCompletableFuture().join();
    }
  }

  @Test
  void shouldServeWhenItsTapCanNotBeReached() throws Exception {
    try (Engine engine =
        Engine.startTapped(Fixture.CHECKPOINT, URI.create("http://127.0.0.1:" + freePort()))) {
      for (int i = 0; i < 3; i++) {
        assertThat(engine.post("/v1/completions", "{\"prompt\":\"The\"}").statusCode())
            .isEqualTo(200);
      }
    }
  }

  /** Keeps the bodies that are posted to a path and tells the port. */
  private static int listen(Vertx vertx, String path, BlockingQueue<Buffer> received)
      throws Exception {
    return vertx
        .createHttpServer()
        .requestHandler(
            request ->
                request
                    .body()
                    .onSuccess(
                        body -> {
                          if (request.path().equals(path)) {
                            received.add(body);
                          }
                          request.response().setStatusCode(202).end();
                        }))
        .listen(0, "127.0.0.1")
        .toCompletionStage()
        .toCompletableFuture()
        .get()
        .actualPort();
  }

  private static void assertFails(int exitCode, String message, String... arguments)
      throws IOException, InterruptedException {
    Process process = start(arguments);
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).isEqualTo(exitCode);
    assertThat(output).contains(message).doesNotContain("\tat ");
  }

  private static Process start(String... arguments) throws IOException {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx512m",
                "-cp",
                System.getProperty("java.class.path"),
                ReferenceEngine.class.getName()));
    command.addAll(List.of(arguments));
    return new ProcessBuilder(command).redirectErrorStream(true).start();
  }

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0)) {
      return socket.getLocalPort();
    }
  }
}
