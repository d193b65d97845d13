package dev.smelt.agent.control;

import java.time.Duration;

/**
 * How the engine has served since the agent started; what the canary compares.
 *
 * @param requests answered requests
 * @param failures those that failed on the engine's side
 * @param time they took, summed over all
 */
public record ServingFigures(long requests, long failures, Duration time) {

  public static final ServingFigures NONE = new ServingFigures(0, 0, Duration.ZERO);

  /** What came after an earlier reading. */
  ServingFigures since(ServingFigures earlier) {
    return new ServingFigures(
        requests - earlier.requests, failures - earlier.failures, time.minus(earlier.time));
  }

  double errorRate() {
    return requests == 0 ? 0 : (double) failures / requests;
  }

  double meanMillis() {
    return requests == 0 ? 0 : time.toNanos() / 1e6 / requests;
  }
}
