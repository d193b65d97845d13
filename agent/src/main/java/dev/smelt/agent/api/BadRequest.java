package dev.smelt.agent.api;

import java.io.Serial;

/** A request that cannot be understood; the message says what is wrong and what would be right. */
final class BadRequest extends RuntimeException {

  @Serial private static final long serialVersionUID = 1L;

  BadRequest(String message) {
    super(message);
  }
}
