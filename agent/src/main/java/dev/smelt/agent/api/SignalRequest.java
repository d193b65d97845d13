package dev.smelt.agent.api;

import com.fasterxml.jackson.core.JacksonException;
import dev.smelt.agent.control.Signal;
import java.io.IOException;
import java.io.UncheckedIOException;
import org.jspecify.annotations.Nullable;

/**
 * The body that posts a number.
 *
 * @param name of what was measured
 * @param value what came out
 * @param better {@code lower} or {@code higher}
 */
record SignalRequest(@Nullable String name, @Nullable Double value, @Nullable String better) {

  static Signal parse(byte[] body) {
    try {
      return ApiJson.read(body, SignalRequest.class).signal();
    } catch (JacksonException e) {
      throw new BadRequest(
          "the body must be a JSON object such as"
              + " {\"name\": \"answer-quality\", \"value\": 0.93, \"better\": \"higher\"}");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private Signal signal() {
    if (name == null || value == null || better == null) {
      throw new BadRequest("'name', 'value' and 'better' are needed");
    }
    try {
      return new Signal(name, value, direction(better));
    } catch (IllegalArgumentException e) {
      throw new BadRequest(e.getMessage());
    }
  }

  private static Signal.Better direction(String better) {
    return switch (better) {
      case "lower" -> Signal.Better.LOWER;
      case "higher" -> Signal.Better.HIGHER;
      default -> throw new BadRequest("'better' must be lower or higher");
    };
  }
}
