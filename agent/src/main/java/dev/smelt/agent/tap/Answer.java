package dev.smelt.agent.tap;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/**
 * The routed experts in an engine's JSON answer, and the answer without them. Both engines' places
 * are known: {@code choices[].routed_experts} (vLLM), {@code choices[].sgl_ext.routed_experts} and
 * {@code meta_info.routed_experts} (SGLang). All other bytes stay as they are.
 */
final class Answer {

  private static final JsonFactory JSON = new JsonFactory();

  /** Where in the answer an object stands. */
  private enum Place {
    ROOT,
    CHOICES,
    EXTENSION,
    META,
    USAGE,
    ELSEWHERE;

    Place member(String name) {
      return switch (this) {
        case ROOT ->
            switch (name) {
              case "choices" -> CHOICES;
              case "usage" -> USAGE;
              case "meta_info" -> META;
              case "sglext" -> EXTENSION;
              default -> ELSEWHERE;
            };
        case CHOICES -> name.equals("sgl_ext") || name.equals("sglext") ? EXTENSION : ELSEWHERE;
        default -> ELSEWHERE;
      };
    }

    boolean holdsExperts() {
      return this == CHOICES || this == EXTENSION || this == META;
    }

    boolean countsTokens() {
      return this == USAGE || this == META;
    }
  }

  private record Span(int from, int to) {}

  private final byte[] json;
  private final List<Span> experts = new ArrayList<>();
  private final List<Span> cuts = new ArrayList<>();
  private final TokenScores scores = new TokenScores();
  private Optional<String> elementType = Optional.empty();
  private int choices;
  private int promptTokens = Payload.UNKNOWN_ROWS;
  private int completionTokens = Payload.UNKNOWN_ROWS;

  private Answer(byte[] json) {
    this.json = json;
  }

  /**
   * Reads an answer.
   *
   * @throws PayloadException with {@link TapFault#NOT_JSON} if it is not one JSON object
   */
  static Answer read(byte[] json) throws PayloadException {
    Answer answer = new Answer(json);
    try (JsonParser parser = JSON.createParser(json)) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        throw new PayloadException(TapFault.NOT_JSON, "the answer is not a JSON object");
      }
      answer.object(parser, Place.ROOT);
      return answer;
    } catch (IOException notJson) {
      throw new PayloadException(TapFault.NOT_JSON, "the answer is not JSON");
    }
  }

  boolean carriesExperts() {
    return !experts.isEmpty();
  }

  /** What the engine says of how likely its tokens are; none unless the client asked. */
  TokenScores scores() {
    return scores;
  }

  /** The answer as the engine wrote it. */
  byte[] untouched() {
    return json;
  }

  /**
   * The payloads found, one for each choice that carries one.
   *
   * @param startLength tokens at the start of the prompt that the request left out
   */
  List<Payload> payloads(int startLength) {
    boolean rowsTell = choices <= 1 && promptTokens >= 0 && completionTokens >= 0;
    int rows = rowsTell ? promptTokens + completionTokens - 1 - startLength : Payload.UNKNOWN_ROWS;
    return experts.stream()
        .map(span -> new Payload(Arrays.copyOfRange(json, span.from, span.to), elementType, rows))
        .toList();
  }

  /** The answer without what the tap asked for; the same array if there is none of it. */
  byte[] stripped() {
    if (cuts.isEmpty()) {
      return json;
    }
    ByteArrayOutputStream kept = new ByteArrayOutputStream(json.length);
    int at = 0;
    cuts.sort(Comparator.comparingInt(Span::from));
    for (Span cut : cuts) {
      if (cut.from > at) {
        kept.write(json, at, cut.from - at);
      }
      at = Math.max(at, cut.to);
    }
    kept.write(json, at, json.length - at);
    return kept.toByteArray();
  }

  /** Reads the members of the object that just began; whether cutting leaves none of them. */
  private boolean object(JsonParser parser, Place place) throws IOException {
    int keptUntil = -1;
    int openCut = -1;
    boolean cutAny = false;
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      int begin = (int) parser.currentTokenLocation().getByteOffset();
      if (openCut >= 0) {
        cuts.add(new Span(openCut, begin));
        openCut = -1;
      }
      String name = parser.currentName();
      parser.nextToken();
      boolean cut = member(parser, place, name);
      int end = (int) parser.currentLocation().getByteOffset();
      if (!cut) {
        keptUntil = end;
      } else if (keptUntil >= 0) {
        cuts.add(new Span(keptUntil, end));
      } else {
        openCut = begin;
      }
      cutAny |= cut;
    }
    if (parser.currentToken() != JsonToken.END_OBJECT) {
      throw new IOException("an object ends early");
    }
    if (openCut >= 0) {
      cuts.add(new Span(openCut, (int) parser.currentTokenLocation().getByteOffset()));
    }
    return cutAny && keptUntil < 0;
  }

  /** Reads the value of one member to its end; whether the member is to be cut. */
  private boolean member(JsonParser parser, Place place, String name) throws IOException {
    JsonToken value = parser.currentToken();
    Place inside = place.member(name);
    switch (value) {
      case START_OBJECT -> {
        if (inside != Place.ELSEWHERE) {
          return object(parser, inside) && inside == Place.EXTENSION;
        }
        if (place == Place.CHOICES && name.equals("logprobs")) {
          scores.read(parser);
          return false;
        }
        parser.skipChildren();
      }
      case START_ARRAY -> {
        if (inside == Place.CHOICES) {
          choices(parser);
        } else {
          parser.skipChildren();
        }
      }
      case VALUE_STRING -> {
        return text(parser, place, name);
      }
      case VALUE_NUMBER_INT -> count(parser, place, name);
      default -> {}
    }
    return false;
  }

  private void choices(JsonParser parser) throws IOException {
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      if (parser.currentToken() == null) {
        throw new IOException("an array ends early");
      }
      choices++;
      if (parser.currentToken() == JsonToken.START_OBJECT) {
        object(parser, Place.CHOICES);
      } else {
        parser.skipChildren();
      }
    }
  }

  private boolean text(JsonParser parser, Place place, String name) throws IOException {
    int begin = (int) parser.currentTokenLocation().getByteOffset();
    parser.finishToken();
    if (!place.holdsExperts()) {
      return false;
    }
    if (name.equals("routed_experts")) {
      experts.add(new Span(begin + 1, (int) parser.currentLocation().getByteOffset() - 1));
      return true;
    }
    if (name.equals("routed_experts_dtype")) {
      elementType = Optional.of(parser.getText());
      return true;
    }
    return false;
  }

  private void count(JsonParser parser, Place place, String name) throws IOException {
    if (place.countsTokens()) {
      switch (name) {
        case "prompt_tokens" -> promptTokens = parser.getIntValue();
        case "completion_tokens" -> completionTokens = parser.getIntValue();
        default -> {}
      }
    }
  }
}
