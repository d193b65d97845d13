package dev.smelt.agent.swap;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpConnectTimeoutException;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Calls the control routes of one engine. */
final class EngineCalls {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int SHOWN = 200;

  private final URI engine;
  private final Optional<String> apiKey;
  private final HttpClient http;

  EngineCalls(URI engine, SwapSettings settings) {
    this.engine = engine;
    this.apiKey = settings.apiKey();
    http =
        HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(settings.callTimeout())
            .build();
  }

  /** What came back. */
  sealed interface Reply {
    /** Where it was sent, for messages. */
    String call();
  }

  /** The engine answered. */
  record Answered(String call, int status, String body) implements Reply {

    boolean good() {
      return status >= 200 && status < 300;
    }

    /** The body as JSON, a missing node if it is none. */
    JsonNode json() {
      try {
        return JSON.readTree(body);
      } catch (JsonProcessingException none) {
        return MissingNode.getInstance();
      }
    }

    String problem() {
      String shown = body.length() > SHOWN ? body.substring(0, SHOWN) + "…" : body;
      return call + " answered " + status + (shown.isBlank() ? "" : ": " + shown.strip());
    }
  }

  /** The engine was not reached. */
  record NotReached(String call) implements Reply {}

  /** The engine was reached, but no answer came. */
  record Silent(String call, String reason) implements Reply {}

  Reply get(String path, Duration timeout) {
    return send(HttpRequest.newBuilder(uri(path)).GET(), "GET " + uri(path), timeout);
  }

  Reply post(String path, String json, Duration timeout) {
    return send(
        HttpRequest.newBuilder(uri(path))
            .header("content-type", "application/json")
            .POST(BodyPublishers.ofString(json)),
        "POST " + uri(path),
        timeout);
  }

  /** The outcome of a step whose success is told by the status alone. */
  static Outcome outcome(Reply reply) {
    if (reply instanceof Answered answered) {
      return answered.good() ? Outcome.done() : new Outcome.Failed(answered.problem());
    }
    if (reply instanceof Silent silent) {
      return new Outcome.Lost(silent.call() + ": " + silent.reason());
    }
    return new Outcome.Failed(reply.call() + ": the engine is not reachable");
  }

  private URI uri(String path) {
    String base = engine.toString();
    return URI.create((base.endsWith("/") ? base.substring(0, base.length() - 1) : base) + path);
  }

  private Reply send(HttpRequest.Builder request, String call, Duration timeout) {
    apiKey.ifPresent(key -> request.header("authorization", "Bearer " + key));
    // The client's own timeout would end with the head of the answer; this one is for all of it.
    CompletableFuture<HttpResponse<String>> answer =
        http.sendAsync(request.build(), BodyHandlers.ofString());
    try {
      HttpResponse<String> response = answer.get(timeout.toMillis(), TimeUnit.MILLISECONDS);
      return new Answered(call, response.statusCode(), response.body());
    } catch (ExecutionException failed) {
      Throwable cause = failed.getCause();
      return cause instanceof ConnectException || cause instanceof HttpConnectTimeoutException
          ? new NotReached(call)
          : new Silent(call, String.valueOf(cause.getMessage()));
    } catch (TimeoutException silent) {
      answer.cancel(true);
      return new Silent(call, "request timed out");
    } catch (InterruptedException interrupted) {
      answer.cancel(true);
      Thread.currentThread().interrupt();
      return new Silent(call, "interrupted");
    }
  }
}
