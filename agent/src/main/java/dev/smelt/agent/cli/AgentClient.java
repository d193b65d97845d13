package dev.smelt.agent.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpTimeoutException;
import java.time.Duration;
import java.util.Optional;

/** Asks the API of a running agent. */
final class AgentClient {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Duration LIMIT = Duration.ofSeconds(10);

  private final URI agent;
  private final Optional<String> token;
  private final HttpClient http = HttpClient.newBuilder().connectTimeout(LIMIT).build();

  AgentClient(URI agent, Optional<String> token) {
    this.agent = agent;
    this.token = token;
  }

  /**
   * Reads a JSON resource.
   *
   * @throws IOException if the agent does not answer, or refuses; the message says what to do
   */
  JsonNode get(String path) throws IOException, InterruptedException {
    HttpRequest.Builder request = HttpRequest.newBuilder(agent.resolve(path)).timeout(LIMIT);
    token.ifPresent(secret -> request.header("authorization", "Bearer " + secret));
    HttpResponse<String> answer;
    try {
      answer = http.send(request.build(), HttpResponse.BodyHandlers.ofString());
    } catch (ConnectException | HttpTimeoutException e) {
      throw new IOException(
          agent + ": no agent answers there; start one with smelt up, or name it with --to", e);
    }
    JsonNode body = JSON.readTree(answer.body());
    if (answer.statusCode() != 200) {
      throw new IOException(
          agent.resolve(path) + ": " + body.path("detail").asText("HTTP " + answer.statusCode()));
    }
    return body;
  }
}
