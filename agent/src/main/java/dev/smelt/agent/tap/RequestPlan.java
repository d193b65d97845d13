package dev.smelt.agent.tap;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/**
 * What a completion request says about itself, as far as the tap must know. The body is never
 * rewritten, only spliced: everything that the client wrote reaches the engine byte for byte.
 *
 * @param wish what the client says about routed experts
 * @param streams whether the answer is to come as server-sent events
 * @param startLength tokens at the start of the prompt whose routing the client leaves out, if it
 *     says so
 * @param insertAt offset just behind the opening brace
 * @param empty whether the object has no member
 */
record RequestPlan(
    Wish wish, boolean streams, Optional<Integer> startLength, int insertAt, boolean empty) {

  /** What a client says about routed experts. */
  enum Wish {
    ASKS,
    DECLINES,
    SILENT
  }

  private static final JsonFactory JSON = new JsonFactory();
  private static final String FIELD = "return_routed_experts";
  private static final String START_FIELD = "routed_experts_start_len";

  /** The plan for a body, or nothing if the body is not a JSON object. */
  static Optional<RequestPlan> of(byte[] body) {
    try (JsonParser parser = JSON.createParser(body)) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        return Optional.empty();
      }
      int insertAt = (int) parser.currentLocation().getByteOffset();
      Wish wish = Wish.SILENT;
      Optional<Integer> startLength = Optional.empty();
      boolean streams = false;
      boolean empty = true;
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        empty = false;
        String name = parser.currentName();
        JsonToken value = parser.nextToken();
        if (name.equals(FIELD)) {
          wish = value == JsonToken.VALUE_TRUE ? Wish.ASKS : Wish.DECLINES;
        } else if (name.equals("stream")) {
          streams = value == JsonToken.VALUE_TRUE;
        } else if (name.equals(START_FIELD) && value == JsonToken.VALUE_NUMBER_INT) {
          startLength = Optional.of(parser.getIntValue());
        }
        parser.skipChildren();
      }
      if (parser.currentToken() != JsonToken.END_OBJECT || parser.nextToken() != null) {
        return Optional.empty();
      }
      return Optional.of(new RequestPlan(wish, streams, startLength, insertAt, empty));
    } catch (IOException notJson) {
      return Optional.empty();
    }
  }

  /**
   * The body with a request for routed experts spliced in.
   *
   * @param knownPrefix tokens at the start of the prompt to leave out, unless the client says
   */
  byte[] asking(byte[] body, int knownPrefix) {
    StringBuilder members = new StringBuilder().append('"').append(FIELD).append("\":true");
    if (knownPrefix > 0 && startLength.isEmpty()) {
      members.append(",\"").append(START_FIELD).append("\":").append(knownPrefix);
    }
    if (!empty) {
      members.append(',');
    }
    byte[] inserted = members.toString().getBytes(StandardCharsets.UTF_8);
    ByteArrayOutputStream spliced = new ByteArrayOutputStream(body.length + inserted.length);
    spliced.write(body, 0, insertAt);
    spliced.writeBytes(inserted);
    spliced.write(body, insertAt, body.length - insertAt);
    return spliced.toByteArray();
  }
}
