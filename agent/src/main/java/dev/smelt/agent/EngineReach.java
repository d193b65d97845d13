package dev.smelt.agent;

import dev.smelt.agent.config.EngineSettings;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.time.Duration;

/** Whether something listens where engines should be. */
final class EngineReach {

  private static final Duration LIMIT = Duration.ofSeconds(5);

  private EngineReach() {}

  /**
   * An engine may fail later without harm, but one that was never there is a mistake.
   *
   * @throws IllegalStateException if none answers; the message names its address
   */
  static void require(EngineSettings engine) {
    for (URI url : engine.urls()) {
      try {
        connect(url);
      } catch (IOException e) {
        if (engine.blueGreen() == null || !answers(engine.blueGreen().other())) {
          throw new IllegalStateException(
              url
                  + ": no engine answers there ("
                  + e.getMessage()
                  + "); start it first, or correct engine.urls",
              e);
        }
      }
    }
  }

  private static boolean answers(URI url) {
    try {
      connect(url);
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  private static void connect(URI url) throws IOException {
    int port = url.getPort() >= 0 ? url.getPort() : url.getScheme().equals("https") ? 443 : 80;
    try (Socket socket = new Socket()) {
      socket.connect(new InetSocketAddress(url.getHost(), port), (int) LIMIT.toMillis());
    }
  }
}
