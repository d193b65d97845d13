package dev.smelt.agent.api;

import static org.assertj.core.api.Assertions.assertThat;

import dev.smelt.agent.api.HealthChecks.Finding;
import dev.smelt.agent.config.ManagementSettings;
import io.vertx.core.Vertx;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Clock;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class ManagementApiIT {

  private final Vertx vertx = Vertx.vertx();
  private final HealthChecks health = new HealthChecks();
  private final Metrics metrics = new Metrics(health, Clock.systemUTC());
  private ManagementApi api;
  private int port;

  @BeforeEach
  void start() {
    api = new ManagementApi(vertx, new ManagementSettings("127.0.0.1", 0, null), health, metrics);
    port = api.start().await();
  }

  @AfterEach
  void stop() {
    api.close().await();
    vertx.close().await();
    metrics.close();
  }

  @Test
  void shouldBeAliveEvenWhenNotReady() throws Exception {
    health.register("kafka", () -> Finding.ill("no broker at 127.0.0.1:9092"));
    assertThat(get("/livez").statusCode()).isEqualTo(200);
  }

  @Test
  void shouldBeReadyWhenAllChecksAreWell() throws Exception {
    health.register("kafka", () -> Finding.well("one broker"));
    assertThat(get("/readyz").statusCode()).isEqualTo(200);
  }

  @Test
  void shouldNameTheCheckThatIsIll() throws Exception {
    health.register("kafka", () -> Finding.well("one broker"));
    health.register("engine", () -> Finding.ill("refuses connections"));
    HttpResponse<String> answer = get("/readyz");
    assertThat(answer.statusCode()).isEqualTo(503);
    assertThat(answer.body())
        .isEqualTo(
            "{\"ready\":false,\"checks\":["
                + "{\"name\":\"kafka\",\"ready\":true,\"detail\":\"one broker\"},"
                + "{\"name\":\"engine\",\"ready\":false,\"detail\":\"refuses connections\"}]}");
  }

  @Test
  void shouldTakeACheckThatThrowsAsIll() throws Exception {
    health.register(
        "engine",
        () -> {
          throw new IllegalStateException("gone");
        });
    HttpResponse<String> answer = get("/readyz");
    assertThat(answer.statusCode()).isEqualTo(503);
    assertThat(answer.body()).contains("gone");
  }

  @Test
  void shouldExposeFiguresToPrometheus() throws Exception {
    health.register("kafka", () -> Finding.well("one broker"));
    metrics.registry().counter("smelt_tap_answers").increment(3);
    HttpResponse<String> answer = get("/metrics");
    assertThat(answer.headers().firstValue("Content-Type").orElse("")).startsWith("text/plain");
    assertThat(answer.body())
        .contains("smelt_ready{check=\"kafka\"} 1.0")
        .contains("smelt_tap_answers_total 3.0")
        .contains("jvm_memory_used_bytes");
  }

  private HttpResponse<String> get(String path) throws Exception {
    return HttpClient.newHttpClient()
        .send(
            HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + path)).build(),
            BodyHandlers.ofString());
  }
}
