package dev.smelt.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.smelt.agent.inference.Evaluation;
import dev.smelt.agent.inference.ForwardObserver;
import dev.smelt.agent.inference.MoeModel;
import dev.smelt.agent.inference.Routing;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CompletionsIT {

  private static final String PROMPT = "The first thing that";

  private static Engine engine;

  @BeforeAll
  static void start() {
    engine = Engine.start(Fixture.CHECKPOINT, Dialect.BOTH);
  }

  @AfterAll
  static void stop() {
    engine.close();
  }

  @Test
  void shouldAnswerInOpenAisForm() throws Exception {
    HttpResponse<String> answer =
        engine.post("/v1/completions", greedy(PROMPT, 24, "\"model\":\"byte-moe\""));

    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(answer.headers().firstValue("x-weight-version")).hasValue("byte-moe");
    JsonNode json = Engine.json(answer);
    assertThat(json.path("object").asText()).isEqualTo("text_completion");
    assertThat(json.path("choices").path(0).path("text").asText()).hasSize(24);
    assertThat(json.path("choices").path(0).path("finish_reason").asText()).isEqualTo("length");
    assertThat(json.path("usage").path("prompt_tokens").asInt()).isEqualTo(21);
    assertThat(json.path("usage").path("completion_tokens").asInt()).isEqualTo(24);
    assertThat(json.path("usage").path("total_tokens").asInt()).isEqualTo(45);
  }

  @Test
  void shouldStreamTheSameTextAsInOnePiece() throws Exception {
    for (String prompt : List.of(PROMPT, "Это первая", "größ")) {
      String whole = text(engine.postJson("/v1/completions", greedy(prompt, 40, "\"echo\":true")));

      HttpResponse<String> streamed =
          engine.post(
              "/v1/completions",
              greedy(
                  prompt,
                  40,
                  "\"echo\":true,\"stream\":true,\"stream_options\":{\"include_usage\":true}"));

      List<String> events = streamed.body().lines().filter(line -> !line.isEmpty()).toList();
      assertThat(events).allMatch(line -> line.startsWith("data: "));
      assertThat(events.get(events.size() - 1)).isEqualTo("data: [DONE]");
      StringBuilder joined = new StringBuilder();
      for (String event : events.subList(0, events.size() - 2)) {
        joined.append(text(Engine.json(event.substring(6))));
      }
      assertThat(joined.toString()).isEqualTo(whole).startsWith(prompt);
      JsonNode usage = Engine.json(events.get(events.size() - 2).substring(6));
      assertThat(usage.path("usage").path("completion_tokens").asInt()).isEqualTo(40);
      assertThat(streamed.headers().firstValue("content-type").orElseThrow())
          .startsWith("text/event-stream");
    }
  }

  @Test
  void shouldScoreAPromptLikeTheEvaluation() throws Exception {
    // Given less than a window of text
    String prompt =
        Files.readString(Fixture.CHECKPOINT.resolve("heldout/english.txt")).substring(0, 200);
    double expected =
        Evaluation.score(
                MoeModel.load(Fixture.CHECKPOINT),
                prompt.getBytes(StandardCharsets.UTF_8),
                ForwardObserver.NONE,
                done -> {})
            .bits();

    // When
    JsonNode answer =
        engine.postJson(
            "/v1/completions",
            new ObjectMapper()
                .writeValueAsString(
                    Map.of("prompt", prompt, "max_tokens", 0, "echo", true, "logprobs", 2)));

    // Then
    JsonNode logprobs = answer.path("choices").path(0).path("logprobs");
    double bits = 0;
    for (JsonNode logprob : logprobs.path("token_logprobs")) {
      bits -= logprob.asDouble() / Math.log(2);
    }
    assertThat(logprobs.path("token_logprobs"))
        .hasSize(prompt.getBytes(StandardCharsets.UTF_8).length);
    assertThat(logprobs.path("top_logprobs").path(3)).hasSize(2);
    assertThat(bits).isCloseTo(expected, within(0.05));
    assertThat(text(answer)).isEqualTo(prompt);
  }

  @Test
  void shouldGiveTheSameTextForTheSameSeedOnly() throws Exception {
    String first = sampled(1);

    assertThat(sampled(1)).isEqualTo(first);
    assertThat(sampled(2)).isNotEqualTo(first);
  }

  private static String sampled(int seed) throws Exception {
    return text(
        engine.postJson(
            "/v1/completions",
            "{\"prompt\":\"A\",\"max_tokens\":60,\"temperature\":1.0,\"seed\":" + seed + "}"));
  }

  @Test
  void shouldEndBeforeAStopSequence() throws Exception {
    String whole = text(engine.postJson("/v1/completions", greedy(PROMPT, 40, "\"n\":1")));
    String stop = whole.substring(5, 8);

    JsonNode answer =
        engine.postJson("/v1/completions", greedy(PROMPT, 40, "\"stop\":[\"" + stop + "\"]"));

    assertThat(text(answer)).isEqualTo(whole.substring(0, whole.indexOf(stop)));
    assertThat(answer.path("choices").path(0).path("finish_reason").asText()).isEqualTo("stop");
  }

  @Test
  void shouldStreamNothingOfAStopSequence() throws Exception {
    String whole = text(engine.postJson("/v1/completions", greedy(PROMPT, 40, "\"n\":1")));
    String stop = whole.substring(5, 8);

    String streamed =
        engine
            .post(
                "/v1/completions",
                greedy(PROMPT, 40, "\"stream\":true,\"stop\":[\"" + stop + "\"]"))
            .body();

    StringBuilder joined = new StringBuilder();
    for (String event : streamed.lines().filter(line -> line.startsWith("data: {")).toList()) {
      joined.append(text(Engine.json(event.substring(6))));
    }
    assertThat(joined.toString()).isEqualTo(whole.substring(0, whole.indexOf(stop)));
    assertThat(streamed).contains("\"finish_reason\":\"stop\"");
  }

  @Test
  void shouldTakeTokenIds() throws Exception {
    String text = text(engine.postJson("/v1/completions", greedy("He", 10, "\"n\":1")));

    JsonNode answer =
        engine.postJson(
            "/v1/completions",
            "{\"prompt\":[0,72,101],\"max_tokens\":10,\"temperature\":0,\"seed\":1}");

    assertThat(text(answer)).isEqualTo(text);
  }

  @Test
  void shouldReturnRoutedExpertsInVllmsEncoding() throws Exception {
    JsonNode answer = engine.postJson("/v1/completions", greedy(PROMPT, 6, "\"n\":1"));

    byte[] npy =
        Base64.getDecoder().decode(answer.path("choices").path(0).path("routed_experts").asText());
    String header = new String(npy, 10, 118, StandardCharsets.US_ASCII);
    assertThat(new String(npy, 1, 5, StandardCharsets.US_ASCII)).isEqualTo("NUMPY");
    assertThat(header)
        .contains("'descr': '|u1'")
        .contains("'fortran_order': False")
        .contains("'shape': (26, 4, 2)")
        .endsWith("\n");
    int[] ids = new int[npy.length - 128];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = npy[128 + i];
    }
    assertThat(ids).isEqualTo(routed(PROMPT + text(answer), 26));
    assertThat(answer.path("choices").path(0).has("sgl_ext")).isFalse();
  }

  @Test
  void shouldReturnRoutedExpertsInSglangsEncoding() throws Exception {
    JsonNode answer =
        engine.postJson(
            "/v1/completions",
            greedy(PROMPT, 6, "\"return_routed_experts\":true,\"routed_experts_start_len\":3"));

    int[] all = routed(PROMPT + text(answer), 26);
    assertThat(raw(answer.path("choices").path(0).path("sgl_ext")))
        .isEqualTo(Arrays.copyOfRange(all, 3 * 8, 26 * 8));
  }

  @Test
  void shouldReturnRoutedExpertsWithTheLastChunkOfAStream() throws Exception {
    String streamed =
        engine
            .post(
                "/v1/completions",
                greedy(PROMPT, 6, "\"stream\":true,\"return_routed_experts\":true"))
            .body();

    List<String> events = streamed.lines().filter(line -> line.startsWith("data: {")).toList();
    JsonNode last = Engine.json(events.get(events.size() - 1).substring(6));
    assertThat(raw(last.path("choices").path(0).path("sgl_ext"))).hasSize(26 * 8);
  }

  @Test
  void shouldGenerateInSglangsForm() throws Exception {
    JsonNode answer =
        engine.postJson(
            "/generate",
            """
            {"text":"%s","sampling_params":{"max_new_tokens":6,"temperature":0},
             "return_routed_experts":true}
            """
                .formatted(PROMPT));

    String expected = text(engine.postJson("/v1/completions", greedy(PROMPT, 6, "\"n\":1")));
    assertThat(answer.path("text").asText()).isEqualTo(expected);
    JsonNode meta = answer.path("meta_info");
    assertThat(meta.path("prompt_tokens").asInt()).isEqualTo(21);
    assertThat(meta.path("finish_reason").path("type").asText()).isEqualTo("length");
    assertThat(meta.path("weight_version").asText()).isEqualTo("byte-moe");
    assertThat(raw(meta)).isEqualTo(routed(PROMPT + expected, 26));
  }

  @Test
  void shouldNameTheModel() throws Exception {
    JsonNode models = Engine.json(engine.get("/v1/models"));

    assertThat(models.path("data").path(0).path("id").asText()).isEqualTo("byte-moe");
    assertThat(engine.get("/health").statusCode()).isEqualTo(200);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{\"prompt\":7} | 400 | prompt",
        "{} | 400 | prompt",
        "{\"prompt\":[]} | 400 | prompt",
        "{\"prompt\":[300]} | 400 | prompt",
        "{\"prompt\":\"a\",\"max_tokens\":-1} | 400 | max_tokens",
        "{\"prompt\":\"a\",\"max_tokens\":5000} | 400 | max_tokens",
        "{\"prompt\":\"a\",\"temperature\":-0.1} | 400 | temperature",
        "{\"prompt\":\"a\",\"n\":2} | 400 | n",
        "{\"prompt\":\"a\",\"stop\":[\"\"]} | 400 | stop",
        "{\"prompt\":\"a\",\"stream\":\"yes\"} | 400 | stream",
        "{\"prompt\":\"a\",\"stream\":true,\"logprobs\":1} | 400 | logprobs",
        "{\"prompt\":\"a\",\"routed_experts_start_len\":9} | 400 | routed_experts_start_len",
        "{\"prompt\":\"a\",\"model\":\"other\"} | 404 | null",
        "{\"prompt\": | 400 | null",
        "[] | 400 | null",
      })
  void shouldSayWhatIsWrongWithARequest(String body, int status, String parameter)
      throws Exception {
    HttpResponse<String> answer = engine.post("/v1/completions", body);

    assertThat(answer.statusCode()).isEqualTo(status);
    JsonNode error = Engine.json(answer).path("error");
    assertThat(error.path("message").asText()).isNotBlank();
    assertThat(error.path("type").asText()).isEqualTo("invalid_request_error");
    assertThat(error.path("param").asText()).isEqualTo(parameter);
    assertThat(error.path("code").asInt()).isEqualTo(status);
  }

  @Test
  void shouldSayThatARouteIsNotOffered() throws Exception {
    HttpResponse<String> answer = engine.post("/v1/chat/completions", "{}");

    assertThat(answer.statusCode()).isEqualTo(404);
    assertThat(Engine.json(answer).path("error").path("message").asText())
        .isEqualTo("POST /v1/chat/completions is not offered");
  }

  private static String greedy(String prompt, int maxTokens, String more) {
    return "{\"prompt\":\"%s\",\"max_tokens\":%d,\"temperature\":0,%s}"
        .formatted(prompt, maxTokens, more);
  }

  private static String text(JsonNode answer) {
    return answer.path("choices").path(0).path("text").asText();
  }

  private static int[] raw(JsonNode holder) {
    byte[] bytes = Base64.getDecoder().decode(holder.path("routed_experts").asText());
    int[] ids = new int[bytes.length / 4];
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asIntBuffer().get(ids);
    return ids;
  }

  /** What the model routes the start token and a text to: tokens x layers x top-k. */
  private static int[] routed(String text, int tokens) {
    MoeModel model = MoeModel.load(Fixture.CHECKPOINT);
    Map<Integer, int[]> selected = new HashMap<>();
    model.logits(
        List.of(Arrays.copyOf(ByteText.tokens(text), tokens)),
        new ForwardObserver() {
          @Override
          public void routed(Routing routing) {
            selected.put(routing.layer(), routing.selected().clone());
          }
        });
    int[] ids = new int[tokens * 4 * 2];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = selected.get(i / 2 % 4)[i / 8 * 2 + i % 2];
    }
    return ids;
  }
}
