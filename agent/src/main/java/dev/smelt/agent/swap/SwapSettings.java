package dev.smelt.agent.swap;

import java.time.Duration;
import java.util.Optional;

/**
 * How an engine's weights are exchanged in place.
 *
 * @param callTimeout for calls that only ask or switch
 * @param pauseTimeout for pausing; vLLM waits here for requests in flight
 * @param loadTimeout for loading the weights
 * @param attempts how often resuming is tried; an engine left paused serves nobody
 * @param between pause between these attempts
 * @param apiKey bearer token that the engine's control routes want, if any
 */
public record SwapSettings(
    Duration callTimeout,
    Duration pauseTimeout,
    Duration loadTimeout,
    int attempts,
    Duration between,
    Optional<String> apiKey) {

  public SwapSettings {
    requirePositive("swap.callTimeout", callTimeout);
    requirePositive("swap.pauseTimeout", pauseTimeout);
    requirePositive("swap.loadTimeout", loadTimeout);
    if (attempts < 1) {
      throw new IllegalArgumentException("swap.attempts must be at least 1: " + attempts);
    }
    if (between.isNegative()) {
      throw new IllegalArgumentException("swap.between must not be negative: " + between);
    }
  }

  public static SwapSettings defaults() {
    return new SwapSettings(
        Duration.ofSeconds(10),
        Duration.ofMinutes(2),
        Duration.ofMinutes(10),
        3,
        Duration.ofSeconds(1),
        Optional.empty());
  }

  /** The same with another limit for pausing and for loading. */
  public SwapSettings withTimeout(Duration limit) {
    return new SwapSettings(callTimeout, limit, limit, attempts, between, apiKey);
  }

  /** The same with a bearer token for the engine's control routes. */
  public SwapSettings withApiKey(String key) {
    return new SwapSettings(
        callTimeout, pauseTimeout, loadTimeout, attempts, between, Optional.of(key));
  }

  private static void requirePositive(String setting, Duration value) {
    if (value.toMillis() <= 0) {
      throw new IllegalArgumentException(setting + " must be positive: " + value);
    }
  }
}
