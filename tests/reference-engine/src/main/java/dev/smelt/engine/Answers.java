package dev.smelt.engine;

import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** The JSON of answers, in OpenAI's and SGLang's forms. */
final class Answers {

  private Answers() {}

  /** A whole answer of {@code /v1/completions}. */
  static JsonObject completion(
      String id, long created, String model, ServedWeights weights, JsonObject choice) {
    return head(id, created, model, weights).put("choices", new JsonArray().add(choice));
  }

  /** One chunk of a streamed answer. */
  static JsonObject chunk(
      String id,
      long created,
      String model,
      ServedWeights weights,
      String text,
      @Nullable String finish) {
    return completion(
        id,
        created,
        model,
        weights,
        new JsonObject()
            .put("index", 0)
            .put("text", text)
            .put("logprobs", null)
            .put("finish_reason", finish));
  }

  /** The chunk after the last one that tells the counts. */
  static JsonObject usageChunk(
      String id, long created, String model, ServedWeights weights, JsonObject usage) {
    return head(id, created, model, weights).put("choices", new JsonArray()).put("usage", usage);
  }

  private static JsonObject head(String id, long created, String model, ServedWeights weights) {
    return new JsonObject()
        .put("id", id)
        .put("object", "text_completion")
        .put("created", created)
        .put("model", model)
        .put("system_fingerprint", weights.version());
  }

  static JsonObject usage(CompletionRequest request, Completion completion) {
    int prompt = request.prompt().length;
    int generated = completion.generated().length;
    return new JsonObject()
        .put("prompt_tokens", prompt)
        .put("completion_tokens", generated)
        .put("total_tokens", prompt + generated);
  }

  static JsonObject choice(CompletionRequest request, Completion completion) {
    String text = ByteText.text(completion.generated(), 0, completion.kept());
    JsonObject choice =
        new JsonObject()
            .put("index", 0)
            .put("text", request.echo() ? promptText(request) + text : text)
            .put("logprobs", null)
            .put("finish_reason", completion.finish().label());
    if (request.logprobs().isPresent()) {
      List<TokenScore> prompt = completion.promptScores();
      List<TokenScore> all = new ArrayList<>();
      if (!prompt.isEmpty()) {
        all.addAll(prompt.subList(request.unprinted(), prompt.size()));
      }
      all.addAll(completion.generatedScores());
      choice.put("logprobs", logprobs(all, request.logprobs().getAsInt() > 0));
    }
    return choice;
  }

  static String promptText(CompletionRequest request) {
    return ByteText.text(request.prompt(), request.unprinted(), request.prompt().length);
  }

  private static JsonObject logprobs(List<TokenScore> scores, boolean named) {
    JsonArray tokens = new JsonArray();
    JsonArray logprobs = new JsonArray();
    JsonArray top = new JsonArray();
    JsonArray offsets = new JsonArray();
    ByteText text = new ByteText();
    int offset = 0;
    for (TokenScore score : scores) {
      tokens.add(ByteText.name(score.token()));
      if (score.logprob().isPresent()) {
        logprobs.add(score.logprob().getAsDouble());
        top.add(new JsonObject(new LinkedHashMap<>(score.top())));
      } else {
        logprobs.addNull();
        top.addNull();
      }
      offsets.add(offset);
      offset += text.append(score.token()).length();
    }
    return new JsonObject()
        .put("tokens", tokens)
        .put("token_logprobs", logprobs)
        .put("top_logprobs", named ? top : null)
        .put("text_offset", offsets);
  }

  /** An answer of SGLang's {@code /generate}. */
  static JsonObject generated(
      String id,
      ServedWeights weights,
      CompletionRequest request,
      Completion completion,
      double seconds) {
    JsonObject finish = new JsonObject().put("type", completion.finish().label());
    if (completion.finish() == Completion.Finish.LENGTH) {
      finish.put("length", request.maxTokens());
    }
    return new JsonObject()
        .put("text", ByteText.text(completion.generated(), 0, completion.kept()))
        .put("output_ids", new JsonArray(IntStream.of(completion.generated()).boxed().toList()))
        .put(
            "meta_info",
            new JsonObject()
                .put("id", id)
                .put("finish_reason", finish)
                .put("prompt_tokens", request.prompt().length)
                .put("completion_tokens", completion.generated().length)
                .put("cached_tokens", 0)
                .put("weight_version", weights.version())
                .put("e2e_latency", seconds));
  }

  /** An error in OpenAI's form. */
  static JsonObject error(int status, String message, @Nullable String parameter) {
    return new JsonObject()
        .put(
            "error",
            new JsonObject()
                .put("message", message)
                .put("type", status < 500 ? "invalid_request_error" : "server_error")
                .put("param", parameter)
                .put("code", status));
  }
}
