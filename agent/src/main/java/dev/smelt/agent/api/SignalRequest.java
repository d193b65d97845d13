package dev.smelt.agent.api;

import com.fasterxml.jackson.core.JacksonException;
import dev.smelt.agent.control.Signal;
import dev.smelt.agent.control.Signal.Better;
import java.io.IOException;
import java.io.UncheckedIOException;
import org.jspecify.annotations.Nullable;

/**
 * The body that says how good answers are, as somebody outside has measured it.
 *
 * @param name of what is measured
 * @param value the number
 * @param better {@code lower} or {@code higher}
 */
record SignalRequest(@Nullable String name, @Nullable Double value, @Nullable String better) {

  static Signal parse(byte[] body) {
    try {
      SignalRequest request = ApiJson.read(body, SignalRequest.class);
      if (request.name() == null || request.value() == null) {
        throw new BadRequest("'name' and 'value' are needed");
      }
      return new Signal(request.name(), request.value(), direction(request.better()));
    } catch (JacksonException e) {
      throw new BadRequest(
          "the body must be such as {\"name\": \"answer-quality\", \"value\": 0.9, \"better\":"
              + " \"higher\"}");
    } catch (IllegalArgumentException e) {
      throw new BadRequest(String.valueOf(e.getMessage()));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Better direction(@Nullable String better) {
    for (Better known : Better.values()) {
      if (ApiJson.lowerCase(known).equals(better)) {
        return known;
      }
    }
    throw new BadRequest("'better' must be lower or higher");
  }
}
