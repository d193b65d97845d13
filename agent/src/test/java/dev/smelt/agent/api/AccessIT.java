package dev.smelt.agent.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.http.HttpResponse;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AccessIT {

  private static final String MODEL = "/v1/models/byte-moe";
  private static final String REASON = "{\"reason\":\"a test\"}";

  private static ApiFixture api;

  @BeforeAll
  static void start() {
    api = ApiFixture.withTokens();
  }

  @AfterAll
  static void stop() {
    api.close();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "/v1/models",
        MODEL + "/traffic",
        "/v1/events",
        "/v1/health",
        "/v1/session",
        MODEL + "/snapshots"
      })
  void shouldRefuseWithoutToken(String path) throws Exception {
    HttpResponse<String> answer = api.get(path);
    assertThat(answer.statusCode()).isEqualTo(401);
    assertThat(answer.headers().firstValue("WWW-Authenticate").orElse("")).startsWith("Bearer");
  }

  @ParameterizedTest
  @ValueSource(strings = {"wrong-secret-0123456789", "", "viewer-secret", "ada"})
  void shouldRefuseAWrongToken(String token) throws Exception {
    assertThat(api.get("/v1/models", token).statusCode()).isEqualTo(401);
  }

  @Test
  void shouldServeThePageWithoutToken() throws Exception {
    assertThat(api.get("/").statusCode()).isEqualTo(200);
  }

  @Test
  void shouldLetAViewerReadOnly() throws Exception {
    assertThat(api.get("/v1/models", ApiFixture.VIEWER).statusCode()).isEqualTo(200);
    HttpResponse<String> answer = pause(ApiFixture.VIEWER);
    assertThat(answer.statusCode()).isEqualTo(403);
    assertThat(ApiFixture.json(answer).path("detail").asText()).contains("board");
  }

  @Test
  void shouldLogTheNameOfTheOperator() throws Exception {
    assertThat(pause(ApiFixture.OPERATOR).statusCode()).isEqualTo(200);
    assertThat(api.get(MODEL, ApiFixture.VIEWER).body()).contains("\"who\":\"ada\"");
  }

  @Test
  void shouldNeverTellASecret() throws Exception {
    String session = api.get("/v1/session", ApiFixture.VIEWER).body();
    assertThat(session).contains("board", "viewer").doesNotContain(ApiFixture.VIEWER);
    assertThat(ApiFixture.TOKENS.toString()).doesNotContain(ApiFixture.OPERATOR);
  }

  private static HttpResponse<String> pause(String token) throws Exception {
    return api.post(
        MODEL + "/pause",
        REASON,
        "Content-Type",
        "application/json",
        "Authorization",
        "Bearer " + token);
  }
}
