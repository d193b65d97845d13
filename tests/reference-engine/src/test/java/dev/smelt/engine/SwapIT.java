package dev.smelt.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SwapIT {

  private static final List<String> PROMPTS =
      List.of("The first", "int main", "Der Mensch", "import os", "<div class");
  private static final int GENERATED = 24;

  @TempDir private static Path folder;

  private static Path expanded;
  private static Path compact;

  private Engine engine;

  @BeforeAll
  static void write() {
    expanded = Fixture.scaled(folder.resolve("expanded"), 0.3f);
    compact = Fixture.compact(folder.resolve("compact"));
  }

  @BeforeEach
  void start() {
    engine = Engine.start(Fixture.CHECKPOINT, Dialect.BOTH);
  }

  @AfterEach
  void stop() {
    engine.close();
  }

  @Test
  void shouldNeverFailNorMixWeightsWhileSwapping() throws Exception {
    // Given what each set of weights answers when it is left alone
    Map<String, List<String>> answers = new HashMap<>();
    for (Path weights : List.of(expanded, compact, Fixture.CHECKPOINT)) {
      sglangSwap(weights);
      answers.put(version(weights), answersNow());
    }
    assertThat(answers.values()).doesNotHaveDuplicates();
    AtomicBoolean running = new AtomicBoolean(true);
    AtomicInteger served = new AtomicInteger();
    Map<String, Boolean> seen = new ConcurrentHashMap<>();

    // When clients ask without pause while the weights change under them, in both forms
    List<CompletableFuture<Void>> clients =
        IntStream.range(0, 4)
            .mapToObj(
                client ->
                    CompletableFuture.runAsync(
                        () -> {
                          for (int i = client; running.get(); i++) {
                            int prompt = i % PROMPTS.size();
                            HttpResponse<String> answer = ask(prompt);
                            String by =
                                answer.headers().firstValue("x-weight-version").orElse("none");
                            // Then each answer is wholly that of the weights it names
                            assertThat(answer.statusCode()).isEqualTo(200);
                            assertThat(textOf(answer)).isEqualTo(answers.get(by).get(prompt));
                            seen.put(by, true);
                            served.incrementAndGet();
                          }
                        }))
            .toList();
    for (int round = 0; round < 4; round++) {
      int before = served.get();
      sglangSwap(List.of(expanded, compact).get(round % 2));
      await().until(() -> served.get() > before + 4 || failed(clients));
      int after = served.get();
      vllmSwap(Fixture.CHECKPOINT);
      await().until(() -> served.get() > after + 4 || failed(clients));
    }
    running.set(false);
    clients.forEach(CompletableFuture::join);
    assertThat(seen.keySet())
        .containsExactlyInAnyOrder(
            version(expanded), version(compact), version(Fixture.CHECKPOINT));
  }

  @Test
  void shouldHoldNewRequestsWhilePausedAndFinishRunningOnes() throws Exception {
    // Given a long request that runs
    CompletableFuture<HttpResponse<String>> running =
        engine.postAsync("/v1/completions", body("The", 600));
    engine.post("/v1/completions", body("The", 1));

    // When
    JsonNode paused = engine.postJson("/pause?mode=wait", "");
    CompletableFuture<HttpResponse<String>> held =
        engine.postAsync("/v1/completions", body("The", 1));

    // Then
    assertThat(paused.path("status").asText()).isEqualTo("paused");
    assertThat(running.join().statusCode()).isEqualTo(200);
    assertThat(isPaused()).isTrue();
    assertThat(engine.post("/reset_prefix_cache", "").statusCode()).isEqualTo(200);
    assertThat(held).isNotDone();
    engine.postJson("/resume", "");
    assertThat(held.join().statusCode()).isEqualTo(200);
    assertThat(isPaused()).isFalse();
  }

  @Test
  void shouldEndRunningRequestsWhenPausedInAbortMode() throws Exception {
    CompletableFuture<HttpResponse<String>> running =
        engine.postAsync("/v1/completions", body("The", 1000));
    engine.post("/v1/completions", body("The", 1));

    engine.postJson("/pause_generation", "{\"mode\":\"abort\"}");

    assertThat(Engine.json(running.join()).path("choices").path(0).path("finish_reason").asText())
        .isIn("abort", "length");
    engine.postJson("/continue_generation", "{}");
    assertThat(engine.post("/v1/completions", body("The", 1)).statusCode()).isEqualTo(200);
  }

  @Test
  void shouldKeepItsWeightsWhenThereIsNoSuchFolder() throws Exception {
    List<String> before = answersNow();

    HttpResponse<String> sglang =
        engine.post("/update_weights_from_disk", "{\"model_path\":\"/no/such/folder\"}");
    HttpResponse<String> vllm = engine.post("/collective_rpc", reload(Path.of("/no/such/folder")));

    assertThat(sglang.statusCode()).isEqualTo(400);
    assertThat(Engine.json(sglang).path("success").asBoolean()).isFalse();
    assertThat(Engine.json(sglang).path("message").asText())
        .isEqualTo("/no/such/folder: no such file or folder");
    assertThat(vllm.statusCode()).isEqualTo(500);
    assertThat(answersNow()).isEqualTo(before);
  }

  @Test
  void shouldKeepItsWeightsWhenTheNewOnesAreCutOff() throws Exception {
    Path cut = Files.createDirectories(folder.resolve("cut"));
    Files.copy(expanded.resolve("config.json"), cut.resolve("config.json"));
    byte[] whole = Files.readAllBytes(expanded.resolve("model.safetensors"));
    Files.write(cut.resolve("model.safetensors"), Arrays.copyOf(whole, whole.length / 2));
    List<String> before = answersNow();

    HttpResponse<String> answer = engine.post("/update_weights_from_disk", update(cut));

    assertThat(answer.statusCode()).isEqualTo(400);
    assertThat(Engine.json(answer).path("message").asText()).contains("model.safetensors");
    assertThat(answersNow()).isEqualTo(before);
  }

  @Test
  void shouldRefuseWeightsOfAnotherConfiguration() throws Exception {
    Path other = Files.createDirectories(folder.resolve("other"));
    Files.copy(expanded.resolve("model.safetensors"), other.resolve("model.safetensors"));
    Files.writeString(
        other.resolve("config.json"),
        Files.readString(expanded.resolve("config.json"))
            .replace("\"rope_theta\": 10000.0", "\"rope_theta\": 500.0"));

    HttpResponse<String> answer = engine.post("/update_weights_from_disk", update(other));

    assertThat(answer.statusCode()).isEqualTo(400);
    assertThat(Engine.json(answer).path("message").asText())
        .contains("its config.json differs from the model in use");
  }

  @Test
  void shouldTellWhichWeightsItServes() throws Exception {
    JsonNode before = engine.postJson("/weights_checker", "{\"action\":\"checksum\"}");
    sglangSwap(expanded);
    JsonNode after = engine.postJson("/weights_checker", "{\"action\":\"checksum\"}");
    sglangSwap(Fixture.CHECKPOINT);
    JsonNode back = engine.postJson("/weights_checker", "{\"action\":\"checksum\"}");

    assertThat(after.path("checksum")).isNotEqualTo(before.path("checksum"));
    assertThat(back.path("checksum")).isEqualTo(before.path("checksum"));
    assertThat(Engine.json(engine.get("/model_info")).path("weight_version").asText())
        .isEqualTo(version(Fixture.CHECKPOINT));
  }

  @Test
  void shouldOfferOneEnginesRoutesOnlyWhereAskedTo() throws Exception {
    try (Engine vllm = Engine.start(Fixture.CHECKPOINT, Dialect.VLLM);
        Engine sglang = Engine.start(Fixture.CHECKPOINT, Dialect.SGLANG)) {
      assertThat(vllm.post("/pause_generation", "{}").statusCode()).isEqualTo(404);
      assertThat(vllm.get("/is_paused").statusCode()).isEqualTo(200);
      assertThat(sglang.post("/pause", "").statusCode()).isEqualTo(404);
      assertThat(sglang.get("/model_info").statusCode()).isEqualTo(200);
    }
  }

  private void sglangSwap(Path weights) throws Exception {
    engine.postJson("/pause_generation", "{\"mode\":\"retract\"}");
    JsonNode updated = engine.postJson("/update_weights_from_disk", update(weights));
    engine.postJson("/continue_generation", "{}");
    assertThat(updated.path("success").asBoolean()).isTrue();
  }

  private void vllmSwap(Path weights) throws Exception {
    engine.postJson("/pause?mode=wait", "");
    engine.postJson("/collective_rpc", reload(weights));
    engine.post("/reset_prefix_cache", "");
    engine.postJson("/resume", "");
  }

  private static String update(Path weights) {
    return "{\"model_path\":\"%s\",\"weight_version\":\"%s\",\"flush_cache\":true}"
        .formatted(weights, version(weights));
  }

  private static String reload(Path weights) {
    return "{\"method\":\"reload_weights\",\"kwargs\":{\"weights_path\":\"%s\"}}"
        .formatted(weights);
  }

  private static String version(Path weights) {
    return weights.getFileName().toString();
  }

  private List<String> answersNow() {
    return IntStream.range(0, PROMPTS.size()).mapToObj(prompt -> textOf(ask(prompt))).toList();
  }

  private HttpResponse<String> ask(int prompt) {
    return engine.postAsync("/v1/completions", body(PROMPTS.get(prompt), GENERATED)).join();
  }

  private static String body(String prompt, int maxTokens) {
    return "{\"prompt\":\"%s\",\"max_tokens\":%d,\"temperature\":0}".formatted(prompt, maxTokens);
  }

  private static String textOf(HttpResponse<String> answer) {
    try {
      return Engine.json(answer).path("choices").path(0).path("text").asText();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private boolean isPaused() throws Exception {
    return Engine.json(engine.get("/is_paused")).path("is_paused").asBoolean();
  }

  private static boolean failed(List<CompletableFuture<Void>> clients) {
    return clients.stream().anyMatch(CompletableFuture::isCompletedExceptionally);
  }
}
