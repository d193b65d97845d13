package dev.smelt.agent.swap;

import java.net.URI;
import java.time.Duration;
import java.util.List;

/**
 * Two places for one engine, of which one serves.
 *
 * <p>Commands are lists of words, in which {@code {directory}}, {@code {snapshot}}, {@code {url}}
 * and {@code {port}} are replaced. A command whose only word is an http or https address is a
 * webhook: these four are posted there as JSON.
 *
 * @param blue address of the first place
 * @param green address of the second place
 * @param start starts an engine; may go on running as the engine itself or end with status 0
 * @param stop stops an engine; empty where ending the start command does that
 * @param healthPath path that answers 200 once the engine serves
 * @param healthTimeout how long a new engine may take to become healthy
 * @param drainTimeout how long requests in flight at the old engine are waited for
 * @param commandTimeout how long a stop command or a webhook may take
 */
public record BlueGreenSettings(
    URI blue,
    URI green,
    List<String> start,
    List<String> stop,
    String healthPath,
    Duration healthTimeout,
    Duration drainTimeout,
    Duration commandTimeout) {

  public BlueGreenSettings {
    start = List.copyOf(start);
    stop = List.copyOf(stop);
    if (blue.equals(green)) {
      throw new IllegalArgumentException(
          "swap.blueGreen.blue and swap.blueGreen.green must differ: " + blue);
    }
    if (start.isEmpty()) {
      throw new IllegalArgumentException("swap.blueGreen.start must name a command or an address");
    }
    if (!healthPath.startsWith("/")) {
      throw new IllegalArgumentException(
          "swap.blueGreen.healthPath must start with a slash: " + healthPath);
    }
    requirePositive("healthTimeout", healthTimeout);
    requirePositive("drainTimeout", drainTimeout);
    requirePositive("commandTimeout", commandTimeout);
  }

  /** With {@code /health}, ten minutes to become healthy and five to drain. */
  public static BlueGreenSettings defaults(
      URI blue, URI green, List<String> start, List<String> stop) {
    return new BlueGreenSettings(
        blue,
        green,
        start,
        stop,
        "/health",
        Duration.ofMinutes(10),
        Duration.ofMinutes(5),
        Duration.ofMinutes(1));
  }

  private static void requirePositive(String setting, Duration value) {
    if (value.toMillis() <= 0) {
      throw new IllegalArgumentException(
          "swap.blueGreen." + setting + " must be positive: " + value);
    }
  }
}
