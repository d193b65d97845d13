package dev.smelt.agent.doctor;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Optional;

/** Asks an engine. */
final class EngineProbe {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Duration CONNECT = Duration.ofSeconds(5);
  private static final int SHOWN = 160;

  private final URI engine;
  private final Optional<String> apiKey;
  private final Duration timeout;
  private final HttpClient http =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(CONNECT).build();

  EngineProbe(URI engine, Optional<String> apiKey, Duration timeout) {
    this.engine = engine;
    this.apiKey = apiKey;
    this.timeout = timeout;
  }

  /** What the engine answered. */
  @SuppressWarnings("ArrayRecordComponent") // compared by nobody
  record Reply(int status, byte[] body) {

    boolean good() {
      return status >= 200 && status < 300;
    }

    /** The body as JSON, a missing node if it is none. */
    JsonNode json() {
      try {
        JsonNode read = JSON.readTree(text());
        return read == null ? MissingNode.getInstance() : read;
      } catch (JsonProcessingException none) {
        return MissingNode.getInstance();
      }
    }

    String text() {
      return new String(body, StandardCharsets.UTF_8);
    }

    /** The status and the beginning of the body, on one line. */
    String shown() {
      String text = text().strip().replaceAll("\\s+", " ");
      return "HTTP " + status + " " + (text.length() > SHOWN ? text.substring(0, SHOWN) : text);
    }
  }

  Reply get(String path) throws IOException, InterruptedException {
    return send(HttpRequest.newBuilder(uri(path)).GET());
  }

  Reply post(String path, JsonNode body) throws IOException, InterruptedException {
    return send(
        HttpRequest.newBuilder(uri(path))
            .header("content-type", "application/json")
            .POST(BodyPublishers.ofString(body.toString())));
  }

  /**
   * Whether a route exists that is only there to be posted to: asked with GET it refuses the
   * method, while a route that does not exist is not found.
   */
  boolean takesPosts(String path) throws IOException, InterruptedException {
    int status = get(path).status();
    return status != 404 && status != 501;
  }

  private URI uri(String path) {
    String base = engine.toString();
    return URI.create((base.endsWith("/") ? base.substring(0, base.length() - 1) : base) + path);
  }

  private Reply send(HttpRequest.Builder request) throws IOException, InterruptedException {
    apiKey.ifPresent(key -> request.header("authorization", "Bearer " + key));
    HttpResponse<byte[]> answer =
        http.send(request.timeout(timeout).build(), BodyHandlers.ofByteArray());
    return new Reply(answer.statusCode(), answer.body());
  }
}
