package dev.smelt.agent.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import dev.smelt.agent.config.ApiSettings;
import dev.smelt.agent.config.PolicySettings.Mode;
import io.vertx.core.Vertx;
import java.io.IOException;
import java.net.Socket;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AgentApiIT {

  private static final String MODEL = "/v1/models/byte-moe";
  private static final String REASON = "{\"reason\":\"a test\"}";

  private ApiFixture api;

  @BeforeEach
  void start() {
    api = ApiFixture.open();
  }

  @AfterEach
  void stop() {
    api.close();
  }

  @Test
  void shouldShowWhatTheLoopKnows() throws Exception {
    JsonNode status = ApiFixture.json(api.get(MODEL));
    assertThat(status.path("state").path("state").asText()).isEqualTo("observing");
    assertThat(status.path("mode").asText()).isEqualTo("auto");
    assertThat(status.path("active").asText()).isEqualTo(status.path("served").asText());
    assertThat(ApiFixture.json(api.get("/v1/models")).path("models")).hasSize(1);

    JsonNode blocks = ApiFixture.json(api.get(MODEL + "/traffic")).path("blocks");
    assertThat(blocks).hasSize(4);
    assertThat(blocks.path(0).path("frequency")).hasSize(16);

    JsonNode points = ApiFixture.json(api.get(MODEL + "/drift?most=7")).path("points");
    assertThat(points).hasSize(7);
    assertThat(points.path(0).path("end").asText()).startsWith("20").endsWith("Z");

    JsonNode entries = ApiFixture.json(api.get(MODEL + "/journal?most=3")).path("entries");
    assertThat(entries).hasSize(3);
  }

  @Test
  void shouldSayWhoCalls() throws Exception {
    JsonNode session = ApiFixture.json(api.get("/v1/session"));
    assertThat(session.path("name").asText()).isEqualTo("local");
    assertThat(session.path("role").asText()).isEqualTo("operator");
    assertThat(session.path("tokensRequired").asBoolean()).isFalse();
  }

  @Test
  void shouldPauseAndResumeWithTheReasonInTheJournal() throws Exception {
    HttpResponse<String> paused = api.post(MODEL + "/pause", "{\"reason\":\"load test\"}");
    assertThat(paused.statusCode()).isEqualTo(200);
    assertThat(ApiFixture.json(paused).path("outcome").asText()).isEqualTo("done");
    JsonNode state = ApiFixture.json(api.get(MODEL)).path("state");
    assertThat(state.path("state").asText()).isEqualTo("paused");
    assertThat(state.path("who").asText()).isEqualTo("local");
    assertThat(state.path("why").asText()).isEqualTo("load test");

    assertThat(api.post(MODEL + "/resume", REASON).statusCode()).isEqualTo(200);
    assertThat(api.get(MODEL + "/journal").body()).contains("load test");
  }

  @Test
  void shouldRollBackToTheSnapshotBefore() throws Exception {
    String previous = ApiFixture.json(api.get(MODEL)).path("previous").asText();
    HttpResponse<String> answer = api.post(MODEL + "/rollback", REASON);
    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(ApiFixture.json(api.get(MODEL)).path("served").asText()).isEqualTo(previous);
  }

  @Test
  void shouldAnswerConflictWhenTheLoopRefuses() throws Exception {
    HttpResponse<String> answer = api.post(MODEL + "/approve", REASON);
    assertThat(answer.statusCode()).isEqualTo(409);
    assertThat(answer.headers().firstValue("Content-Type")).contains("application/problem+json");
    JsonNode problem = ApiFixture.json(answer);
    assertThat(problem.path("status").asInt()).isEqualTo(409);
    assertThat(problem.path("detail").asText()).isEqualTo("nothing waits for approval");
  }

  @Test
  void shouldApproveAProposedRemerge() throws Exception {
    api.model.mode(Mode.APPROVE);
    api.model.shiftTo("json");
    await()
        .until(
            () -> {
              api.model.tick();
              return api.get(MODEL).body().contains("awaiting-approval");
            });
    assertThat(api.post(MODEL + "/approve", REASON).statusCode()).isEqualTo(200);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "{",
        "[]",
        "{}",
        "{\"reason\":\"\"}",
        "{\"reason\":\" \"}",
        "{\"reason\":\"two\\nlines\"}",
        "{\"reason\":\"fine\",\"force\":true}",
        "{\"reason\":\"fine\",\"snapshot\":\"../../etc/passwd\"}",
        "{\"reason\":\"fine\"} trailing"
      })
  void shouldRefuseABodyThatIsNoReason(String body) throws Exception {
    HttpResponse<String> answer = api.post(MODEL + "/pause", body);
    assertThat(answer.statusCode()).isEqualTo(400);
    assertThat(ApiFixture.json(answer).path("detail").asText()).isNotBlank();
    assertThat(api.get(MODEL).body()).contains("\"observing\"");
  }

  @Test
  void shouldTakeASignalFromOutside() throws Exception {
    String signal = "{\"name\":\"answer-quality\",\"value\":0.9,\"better\":\"higher\"}";
    assertThat(api.post(MODEL + "/signal", signal).statusCode()).isEqualTo(200);
    assertThat(api.get(MODEL + "/journal").body()).contains("answer-quality is 0.9");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{}",
        "{\"name\":\"a b\",\"value\":1,\"better\":\"lower\"}",
        "{\"name\":\"a\",\"value\":1,\"better\":\"best\"}",
        "{\"name\":\"a\",\"value\":\"NaN\",\"better\":\"lower\"}"
      })
  void shouldRefuseASignalThatIsNone(String signal) throws Exception {
    assertThat(api.post(MODEL + "/signal", signal).statusCode()).isEqualTo(400);
  }

  @Test
  void shouldRefuseAnActivationWithoutSnapshot() throws Exception {
    HttpResponse<String> answer = api.post(MODEL + "/activate", REASON);
    assertThat(answer.statusCode()).isEqualTo(400);
    assertThat(answer.body()).contains("snapshot");
  }

  @Test
  void shouldRefuseALargeBody() throws Exception {
    String body = "{\"reason\":\"" + "x".repeat(20_000) + "\"}";
    assertThat(api.post(MODEL + "/pause", body).statusCode()).isEqualTo(413);
  }

  @Test
  void shouldRefuseABodyThatIsNoJson() throws Exception {
    assertThat(api.post(MODEL + "/pause", REASON, "Content-Type", "text/plain").statusCode())
        .isEqualTo(415);
  }

  @ParameterizedTest
  @ValueSource(strings = {"0", "-1", "x", "1000000000000", "5001"})
  void shouldRefuseAnUnboundedQuestion(String most) throws Exception {
    assertThat(api.get(MODEL + "/drift?most=" + most).statusCode()).isEqualTo(400);
  }

  @Test
  void shouldAnswerNotFoundForAnUnknownModelAndNameTheKnown() throws Exception {
    HttpResponse<String> answer = api.get("/v1/models/none");
    assertThat(answer.statusCode()).isEqualTo(404);
    assertThat(ApiFixture.json(answer).path("detail").asText()).contains("byte-moe");
    assertThat(api.get("/v1/nothing").statusCode()).isEqualTo(404);
    assertThat(api.get("/nothing.html").statusCode()).isEqualTo(404);
    assertThat(api.get("/../secret").statusCode()).isEqualTo(404);
  }

  @Test
  void shouldRefuseAForeignHostOnLoopback() throws Exception {
    assertThat(raw("GET /v1/models HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"))
        .startsWith("HTTP/1.1 421");
    assertThat(raw("GET /v1/models HTTP/1.1\r\nHost: localhost:1\r\nConnection: close\r\n\r\n"))
        .startsWith("HTTP/1.1 200");
  }

  @Test
  void shouldRefuseRequestsFromPagesOfOtherSites() throws Exception {
    HttpResponse<String> answer =
        api.post(
            MODEL + "/pause",
            REASON,
            "Content-Type",
            "application/json",
            "Origin",
            "https://evil.example");
    assertThat(answer.statusCode()).isEqualTo(403);
  }

  @Test
  void shouldSendSecurityHeadersWithEverything() throws Exception {
    for (String path : List.of("/", "/v1/models", "/nothing")) {
      HttpResponse<String> answer = api.get(path);
      assertThat(answer.headers().firstValue("Content-Security-Policy").orElse(""))
          .contains("default-src 'none'")
          .contains("connect-src 'self'")
          .doesNotContain("unsafe");
      assertThat(answer.headers().firstValue("X-Content-Type-Options")).contains("nosniff");
    }
  }

  @Test
  void shouldNameThePortThatIsTaken() {
    Vertx vertx = Vertx.vertx();
    try {
      AgentApi second =
          new AgentApi(
              vertx,
              new ApiSettings("127.0.0.1", api.port(), List.of()),
              List.of(api.model),
              new LiveEvents(api.metrics, Clock.systemUTC()),
              api.health,
              api.metrics,
              List.of());
      assertThatThrownBy(() -> second.start().await())
          .hasMessageContaining("127.0.0.1:" + api.port())
          .hasMessageContaining("api.port");
    } finally {
      vertx.close().await();
    }
  }

  private String raw(String request) throws IOException {
    try (Socket socket = new Socket("127.0.0.1", api.port())) {
      socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
      return new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    }
  }
}
