package dev.smelt.agent.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.sun.net.httpserver.HttpServer;
import dev.smelt.agent.config.OtlpSettings;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class OtlpExportIT {

  private record Received(String contentType, String authorization, String body) {}

  private final List<Received> received = new CopyOnWriteArrayList<>();
  private HttpServer collector;

  @BeforeEach
  void listen() throws IOException {
    collector = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    collector.createContext(
        "/v1/metrics",
        exchange -> {
          byte[] body = exchange.getRequestBody().readAllBytes();
          received.add(
              new Received(
                  exchange.getRequestHeaders().getFirst("content-type"),
                  exchange.getRequestHeaders().getFirst("authorization"),
                  new String(body, StandardCharsets.ISO_8859_1)));
          exchange.sendResponseHeaders(200, -1);
          exchange.close();
        });
    collector.start();
  }

  @AfterEach
  void stop() {
    collector.stop(0);
  }

  @Test
  void shouldSendTheFiguresThatAreScrapedToo() {
    HealthChecks health = new HealthChecks();
    health.register("engine", () -> HealthChecks.Finding.well("serves"));
    try (Metrics metrics = new Metrics(health, Clock.systemUTC())) {
      metrics.kafkaLag(() -> 412);
      metrics.send(
          new OtlpSettings(
              "http://127.0.0.1:" + collector.getAddress().getPort() + "/v1/metrics",
              Duration.ofMillis(200),
              Map.of("authorization", "Bearer key")));

      await().atMost(Duration.ofSeconds(30)).untilAsserted(() -> assertThat(received).isNotEmpty());
      assertThat(metrics.scrape()).contains("smelt_kafka_lag_records 412.0");
    }
    Received first = received.get(0);
    assertThat(first.contentType()).isEqualTo("application/x-protobuf");
    assertThat(first.authorization()).isEqualTo("Bearer key");
    assertThat(first.body())
        .contains("service.name", "smelt", SmeltMeter.KAFKA_LAG.meter(), SmeltMeter.READY.meter());
  }
}
