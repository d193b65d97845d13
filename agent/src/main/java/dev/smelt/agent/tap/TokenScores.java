package dev.smelt.agent.tap;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;

/**
 * The log-probabilities of generated tokens in one answer, where the client asked for them: {@code
 * logprobs.token_logprobs} of a completion and {@code logprobs.content[].logprob} of a chat.
 */
final class TokenScores {

  private long tokens;
  private double sum;

  /** How many tokens have one. */
  long tokens() {
    return tokens;
  }

  /** Of natural logarithms. */
  double sum() {
    return sum;
  }

  /** Reads the object of one choice that has just begun, to its end. */
  void read(JsonParser parser) throws IOException {
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String name = parser.currentName();
      JsonToken value = parser.nextToken();
      if (value == JsonToken.START_ARRAY && name.equals("token_logprobs")) {
        numbers(parser);
      } else if (value == JsonToken.START_ARRAY && name.equals("content")) {
        tokensOfChat(parser);
      } else {
        parser.skipChildren();
      }
    }
  }

  private void numbers(JsonParser parser) throws IOException {
    for (JsonToken next = parser.nextToken(); inside(next); next = parser.nextToken()) {
      if (next.isNumeric()) {
        add(parser.getDoubleValue());
      } else {
        parser.skipChildren();
      }
    }
  }

  private void tokensOfChat(JsonParser parser) throws IOException {
    for (JsonToken next = parser.nextToken(); inside(next); next = parser.nextToken()) {
      if (next != JsonToken.START_OBJECT) {
        parser.skipChildren();
        continue;
      }
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        boolean score = parser.currentName().equals("logprob");
        if (parser.nextToken().isNumeric() && score) {
          add(parser.getDoubleValue());
        }
        parser.skipChildren();
      }
    }
  }

  private static boolean inside(JsonToken next) throws IOException {
    if (next == null) {
      throw new IOException("an array ends early");
    }
    return next != JsonToken.END_ARRAY;
  }

  private void add(double value) {
    if (Double.isFinite(value)) {
      tokens++;
      sum += value;
    }
  }
}
