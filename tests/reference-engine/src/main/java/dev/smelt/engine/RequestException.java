package dev.smelt.engine;

import java.util.Optional;

/** A request that can't be served, with the answer's status and the parameter at fault. */
final class RequestException extends RuntimeException {

  private final int status;
  private final Optional<String> parameter;

  private RequestException(int status, Optional<String> parameter, String message) {
    super(message);
    this.status = status;
    this.parameter = parameter;
  }

  static RequestException invalid(String parameter, String message) {
    return new RequestException(400, Optional.of(parameter), parameter + ": " + message);
  }

  static RequestException status(int status, String message) {
    return new RequestException(status, Optional.empty(), message);
  }

  int status() {
    return status;
  }

  Optional<String> parameter() {
    return parameter;
  }
}
