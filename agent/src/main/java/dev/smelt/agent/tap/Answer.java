package dev.smelt.agent.tap;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
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

  private record Span(int from, int to) {
    int length() {
      return to - from;
    }
  }

  /** A base64 text from here on is taken out before the rest is parsed. */
  private static final int LONG_TEXT = 1024;

  private static final String EXPERTS_MEMBER = "\"routed_experts\"";

  private final byte[] json;

  /** Long texts that the parser does not see, in order. */
  private final List<Span> unseen;

  private final List<Span> experts = new ArrayList<>();
  private final List<Span> cuts = new ArrayList<>();
  private final TokenScores scores = new TokenScores();
  private Optional<String> elementType = Optional.empty();
  private int choices;
  private int promptTokens = Payload.UNKNOWN_ROWS;
  private int completionTokens = Payload.UNKNOWN_ROWS;

  private Answer(byte[] json) {
    this.json = json;
    unseen = longTexts(new String(json, StandardCharsets.ISO_8859_1));
  }

  /**
   * Reads an answer.
   *
   * @throws PayloadException with {@link TapFault#NOT_JSON} if it is not one JSON object
   */
  static Answer read(byte[] json) throws PayloadException {
    Answer answer = new Answer(json);
    try (JsonParser parser = JSON.createParser(without(json, answer.unseen))) {
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
        .map(
            span ->
                new Payload(
                    ByteBuffer.wrap(json, span.from, span.to - span.from), elementType, rows))
        .toList();
  }

  /** The answer without what the tap asked for; the same array if there is none of it. */
  byte[] stripped() {
    cuts.sort(Comparator.comparingInt(Span::from));
    return without(json, cuts);
  }

  /** The bytes without some spans, which are in order and may overlap; itself if there are none. */
  private static byte[] without(byte[] bytes, List<Span> spans) {
    if (spans.isEmpty()) {
      return bytes;
    }
    ByteArrayOutputStream kept = new ByteArrayOutputStream();
    int at = 0;
    for (Span span : spans) {
      if (span.from > at) {
        kept.write(bytes, at, span.from - at);
      }
      at = Math.max(at, span.to);
    }
    kept.write(bytes, at, bytes.length - at);
    return kept.toByteArray();
  }

  /**
   * Long texts of routed experts, wherever they are. They are nearly all of an answer, and finding
   * their end is quicker than parsing them. One that holds a backslash is left to the parser.
   *
   * @param answer one character for each byte
   */
  private static List<Span> longTexts(String answer) {
    List<Span> texts = new ArrayList<>();
    int member = answer.indexOf(EXPERTS_MEMBER);
    while (member >= 0) {
      int begin = textBehind(answer, member + EXPERTS_MEMBER.length());
      int end = begin < 0 ? -1 : answer.indexOf('"', begin);
      if (end - begin >= LONG_TEXT && answer.charAt(end - 1) != '\\') {
        texts.add(new Span(begin, end));
      }
      member = answer.indexOf(EXPERTS_MEMBER, Math.max(end, member + 1));
    }
    return texts;
  }

  /** Where the text of a member begins whose name ends here; negative if it has none. */
  private static int textBehind(String answer, int nameEnd) {
    int colon = skipBlanks(answer, nameEnd);
    if (colon == answer.length() || answer.charAt(colon) != ':') {
      return -1;
    }
    int quote = skipBlanks(answer, colon + 1);
    return quote == answer.length() || answer.charAt(quote) != '"' ? -1 : quote + 1;
  }

  private static int skipBlanks(String answer, int from) {
    int at = from;
    while (at < answer.length() && Character.isWhitespace(answer.charAt(at))) {
      at++;
    }
    return at;
  }

  /** Where in the answer is what the parser saw at an offset. */
  private int original(long offset) {
    int at = (int) offset;
    for (Span text : unseen) {
      if (text.from > at) {
        break;
      }
      at += text.length();
    }
    return at;
  }

  /** Reads the members of the object that just began; whether cutting leaves none of them. */
  private boolean object(JsonParser parser, Place place) throws IOException {
    int keptUntil = -1;
    int openCut = -1;
    boolean cutAny = false;
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      int begin = begin(parser);
      if (openCut >= 0) {
        cuts.add(new Span(openCut, begin));
        openCut = -1;
      }
      String name = parser.currentName();
      parser.nextToken();
      boolean cut = member(parser, place, name);
      int end = end(parser);
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
      cuts.add(new Span(openCut, begin(parser)));
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
    if (!place.holdsExperts()) {
      return false;
    }
    if (name.equals("routed_experts")) {
      experts.add(new Span(begin(parser) + 1, end(parser) - 1));
      return true;
    }
    if (name.equals("routed_experts_dtype")) {
      elementType = Optional.of(parser.getText());
      return true;
    }
    return false;
  }

  private int begin(JsonParser parser) {
    return original(parser.currentTokenLocation().getByteOffset());
  }

  /** Offset behind the value that was just read. */
  private int end(JsonParser parser) throws IOException {
    parser.finishToken();
    return original(parser.currentLocation().getByteOffset());
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
