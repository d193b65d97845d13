package dev.smelt.engine;

import dev.smelt.agent.inference.ModelConfig;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.stream.IntStream;

/**
 * What to generate, whoever's form it was asked in.
 *
 * @param prompt tokens, at least one
 * @param unprinted tokens at its start that are no part of its text
 * @param maxTokens most tokens to generate, may be 0
 * @param temperature 0 for always the likeliest token
 * @param seed of the random numbers
 * @param stops byte sequences that end the text and are left out of it
 * @param echo whether the answer begins with the prompt
 * @param logprobs how many likeliest tokens to name at each position, beside the token's own
 *     probability; empty for no probabilities at all
 * @param routedExperts whether the request asks for routed experts
 * @param routedExpertsStart tokens at the start of the prompt whose routing is left out
 * @param stream whether to answer token by token
 * @param streamUsage whether a stream ends with the token counts
 */
record CompletionRequest(
    int[] prompt,
    int unprinted,
    int maxTokens,
    double temperature,
    OptionalLong seed,
    List<byte[]> stops,
    boolean echo,
    OptionalInt logprobs,
    boolean routedExperts,
    int routedExpertsStart,
    boolean stream,
    boolean streamUsage) {

  private static final int MOST_LOGPROBS = 20;

  /** Reads the body of {@code POST /v1/completions}. */
  static CompletionRequest openAi(JsonObject body) {
    Fields fields = new Fields(body, "");
    if (fields.integer("n", 1, 1, Integer.MAX_VALUE) != 1) {
      throw RequestException.invalid("n", "only 1 completion of a prompt is offered");
    }
    Object prompt = body.getValue("prompt");
    boolean text = prompt instanceof String;
    OptionalInt logprobs =
        body.getValue("logprobs") == null
            ? OptionalInt.empty()
            : OptionalInt.of(fields.integer("logprobs", 0, 0, MOST_LOGPROBS));
    boolean stream = fields.flag("stream");
    boolean echo = fields.flag("echo");
    if (stream && logprobs.isPresent()) {
      throw RequestException.invalid("logprobs", "is not offered for streamed answers");
    }
    JsonObject streamOptions = fields.object("stream_options");
    return new CompletionRequest(
        tokens("prompt", prompt),
        text ? 1 : 0,
        fields.integer("max_tokens", 16, 0, Integer.MAX_VALUE),
        fields.temperature(),
        fields.seed("seed"),
        fields.stops(),
        echo,
        logprobs,
        fields.flag("return_routed_experts"),
        fields.integer("routed_experts_start_len", 0, 0, Integer.MAX_VALUE),
        stream,
        new Fields(streamOptions, "stream_options.").flag("include_usage"));
  }

  /** Reads the body of SGLang's {@code POST /generate}. */
  static CompletionRequest sglang(JsonObject body) {
    Fields fields = new Fields(body, "");
    if (fields.flag("stream")) {
      throw RequestException.invalid("stream", "is offered by /v1/completions only");
    }
    if (fields.flag("return_logprob")) {
      throw RequestException.invalid("return_logprob", "is offered by /v1/completions only");
    }
    boolean text = body.getValue("text") != null;
    Fields sampling = new Fields(fields.object("sampling_params"), "sampling_params.");
    return new CompletionRequest(
        text
            ? tokens("text", body.getValue("text"))
            : tokens("input_ids", body.getValue("input_ids")),
        text ? 1 : 0,
        sampling.integer("max_new_tokens", 128, 0, Integer.MAX_VALUE),
        sampling.temperature(),
        sampling.seed("sampling_seed"),
        sampling.stops(),
        false,
        OptionalInt.empty(),
        fields.flag("return_routed_experts"),
        fields.integer("routed_experts_start_len", 0, 0, Integer.MAX_VALUE),
        false,
        false);
  }

  private static int[] tokens(String name, Object prompt) {
    if (prompt instanceof String text) {
      return ByteText.tokens(text);
    }
    if (prompt instanceof JsonArray array
        && !array.isEmpty()
        && array.stream().allMatch(Integer.class::isInstance)) {
      return IntStream.range(0, array.size()).map(array::getInteger).toArray();
    }
    throw RequestException.invalid(
        name, "has to be one text, or an array of at least one token id");
  }

  /**
   * A request's own JSON, read with checks.
   *
   * @param prefix of the names in messages
   */
  private record Fields(JsonObject json, String prefix) {

    boolean flag(String name) {
      Object value = json.getValue(name);
      if (value == null || value instanceof Boolean) {
        return Boolean.TRUE.equals(value);
      }
      throw RequestException.invalid(prefix + name, "has to be true or false");
    }

    int integer(String name, int absent, int least, int most) {
      Object value = json.getValue(name);
      if (value == null) {
        return absent;
      }
      if (value instanceof Integer number && number >= least && number <= most) {
        return number;
      }
      throw RequestException.invalid(
          prefix + name,
          most == Integer.MAX_VALUE
              ? "has to be an integer of at least " + least
              : "has to be an integer from %d to %d".formatted(least, most));
    }

    double temperature() {
      Object value = json.getValue("temperature");
      if (value == null) {
        return 1;
      }
      if (value instanceof Number number
          && number.doubleValue() >= 0
          && number.doubleValue() <= 100) {
        return number.doubleValue();
      }
      throw RequestException.invalid(prefix + "temperature", "has to be a number from 0 to 100");
    }

    OptionalLong seed(String name) {
      Object value = json.getValue(name);
      if (value == null) {
        return OptionalLong.empty();
      }
      if (value instanceof Integer || value instanceof Long) {
        return OptionalLong.of(((Number) value).longValue());
      }
      throw RequestException.invalid(prefix + name, "has to be an integer");
    }

    List<byte[]> stops() {
      Object value = json.getValue("stop");
      if (value == null) {
        return List.of();
      }
      List<Object> stops =
          value instanceof JsonArray array ? array.stream().toList() : List.of(value);
      return stops.stream()
          .map(
              stop -> {
                if (stop instanceof String text && !text.isEmpty()) {
                  return text.getBytes(StandardCharsets.UTF_8);
                }
                throw RequestException.invalid(
                    prefix + "stop", "has to be a text or several, none of them empty");
              })
          .toList();
    }

    JsonObject object(String name) {
      Object value = json.getValue(name);
      if (value == null) {
        return new JsonObject();
      }
      if (value instanceof JsonObject object) {
        return object;
      }
      throw RequestException.invalid(prefix + name, "has to be an object");
    }
  }

  /**
   * Checks the request against a model.
   *
   * @throws RequestException if it does not fit
   */
  void requireFits(ModelConfig model) {
    int vocabulary = model.vocabulary();
    int positions = model.maxPositions();
    for (int token : prompt) {
      if (token < 0 || token >= vocabulary) {
        throw RequestException.invalid(
            "prompt", "token %d is not in the vocabulary of %d".formatted(token, vocabulary));
      }
    }
    if ((long) prompt.length + maxTokens > positions) {
      throw RequestException.invalid(
          "max_tokens",
          ("this model's maximum context length is %d tokens, but %d of the prompt and %d to"
                  + " generate were asked for")
              .formatted(positions, prompt.length, maxTokens));
    }
    if (routedExpertsStart >= prompt.length) {
      throw RequestException.invalid(
          "routed_experts_start_len",
          "%d leaves nothing of a prompt of %d tokens"
              .formatted(routedExpertsStart, prompt.length));
    }
  }
}
