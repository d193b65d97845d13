package dev.smelt.engine;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vertx.core.Vertx;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Clock;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** An engine on a free port, and a client of it. */
final class Engine implements AutoCloseable {

  static final String MODEL = "byte-moe";
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Vertx vertx = Vertx.vertx();
  private final HttpClient client = HttpClient.newHttpClient();
  private final EngineServer server;

  private Engine(EngineOptions options) {
    try {
      server =
          EngineServer.start(
                  vertx,
                  options,
                  ServedWeights.load(options.checkpoint(), Optional.empty()),
                  Clock.systemUTC())
              .toCompletionStage()
              .toCompletableFuture()
              .get(60, TimeUnit.SECONDS);
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  static Engine start(Path checkpoint, Dialect dialect) {
    return new Engine(
        new EngineOptions(
            checkpoint,
            "127.0.0.1",
            0,
            MODEL,
            dialect,
            true,
            2,
            Optional.empty(),
            Optional.empty(),
            1));
  }

  static Engine startTapped(Path checkpoint, URI tap) {
    return new Engine(
        new EngineOptions(
            checkpoint,
            "127.0.0.1",
            0,
            MODEL,
            Dialect.BOTH,
            false,
            2,
            Optional.of(tap),
            Optional.of(tap),
            1));
  }

  HttpResponse<String> post(String path, String body) throws IOException, InterruptedException {
    return client.send(request(path, body), BodyHandlers.ofString());
  }

  CompletableFuture<HttpResponse<String>> postAsync(String path, String body) {
    return client.sendAsync(request(path, body), BodyHandlers.ofString());
  }

  HttpResponse<String> get(String path) throws IOException, InterruptedException {
    return client.send(HttpRequest.newBuilder(uri(path)).build(), BodyHandlers.ofString());
  }

  /** Posts and reads the answer, which has to be 200. */
  JsonNode postJson(String path, String body) throws IOException, InterruptedException {
    HttpResponse<String> answer = post(path, body);
    if (answer.statusCode() != 200) {
      throw new AssertionError(path + ": " + answer.statusCode() + " " + answer.body());
    }
    return json(answer);
  }

  static JsonNode json(HttpResponse<String> answer) throws IOException {
    return JSON.readTree(answer.body());
  }

  static JsonNode json(String text) throws IOException {
    return JSON.readTree(text);
  }

  private HttpRequest request(String path, String body) {
    return HttpRequest.newBuilder(uri(path))
        .header("content-type", "application/json")
        .POST(HttpRequest.BodyPublishers.ofString(body))
        .build();
  }

  private URI uri(String path) {
    return URI.create("http://127.0.0.1:" + server.port() + path);
  }

  @Override
  public void close() {
    vertx.close().toCompletionStage().toCompletableFuture().join();
  }
}
