package dev.smelt.agent.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.smelt.store.http.TrustedCertificates;
import java.io.IOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpTimeoutException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLHandshakeException;

/** Asks the API of a running agent. */
final class AgentClient {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int TOO_MANY = 429;
  private static final Duration LIMIT = Duration.ofSeconds(10);

  private final URI agent;
  private final Optional<String> token;
  private final HttpClient http;

  /**
   * @param trusted the only certificates to trust; the system's if absent
   */
  AgentClient(URI agent, Optional<String> token, Optional<Path> trusted) {
    this.agent = agent;
    this.token = token;
    HttpClient.Builder builder = HttpClient.newBuilder().connectTimeout(LIMIT);
    trusted.map(TrustedCertificates::context).ifPresent(builder::sslContext);
    this.http = builder.build();
  }

  /**
   * Reads a JSON resource.
   *
   * @throws IOException if the agent does not answer, or refuses; the message says what to do
   */
  JsonNode get(String path) throws IOException, InterruptedException {
    HttpResponse<String> answer = send(HttpRequest.newBuilder(agent.resolve(path)).GET());
    if (answer.statusCode() != 200) {
      throw refusal(path, answer);
    }
    return JSON.readTree(answer.body());
  }

  /**
   * Posts a file; waits and tries again for as long as the agent says that it is busy.
   *
   * @throws IOException if the agent does not answer, or refuses; the message says what to do
   */
  void post(String path, Path body) throws IOException, InterruptedException {
    HttpResponse<String> answer;
    do {
      answer =
          send(
              HttpRequest.newBuilder(agent.resolve(path))
                  .header("content-type", "application/octet-stream")
                  .POST(HttpRequest.BodyPublishers.ofFile(body)));
    } while (answer.statusCode() == TOO_MANY && waited(answer));
    if (answer.statusCode() != 200) {
      throw refusal(path, answer);
    }
  }

  private static boolean waited(HttpResponse<String> answer) throws InterruptedException {
    TimeUnit.SECONDS.sleep(answer.headers().firstValueAsLong("retry-after").orElse(1));
    return true;
  }

  private HttpResponse<String> send(HttpRequest.Builder request)
      throws IOException, InterruptedException {
    token.ifPresent(secret -> request.header("authorization", "Bearer " + secret));
    try {
      return http.send(request.timeout(LIMIT).build(), HttpResponse.BodyHandlers.ofString());
    } catch (SSLHandshakeException e) {
      throw new IOException(
          agent + ": its certificate is not trusted; name it with --trust if it signed its own", e);
    } catch (ConnectException | HttpTimeoutException e) {
      throw new IOException(
          agent + ": no agent answers there; start one with smelt up, or name it with --to", e);
    }
  }

  private IOException refusal(String path, HttpResponse<String> answer) {
    String reason = "HTTP " + answer.statusCode();
    try {
      reason = JSON.readTree(answer.body()).path("detail").asText(reason);
    } catch (JsonProcessingException none) {
      // the status alone must do
    }
    return new IOException(agent.resolve(path) + ": " + reason);
  }
}
