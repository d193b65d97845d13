package dev.smelt.agent.config;

import java.io.IOException;

/** Says which setting to change where a server cannot listen. */
public final class Listening {

  private Listening() {}

  /**
   * @param settings the part of the configuration that host and port stand in
   * @param failure as the server gave it; its type differs between transports
   */
  public static Throwable failed(String settings, String host, int port, Throwable failure) {
    if (failure instanceof IOException) {
      return new IllegalStateException(
          "%s:%d: cannot listen there (%s); set %s.port to a free port"
              .formatted(host, port, failure.getMessage(), settings),
          failure);
    }
    return failure;
  }
}
