package dev.smelt.agent.control;

import java.time.Duration;

/**
 * How the engine has served since the agent started; what the canary compares.
 *
 * @param requests answered requests
 * @param failures those that failed on the engine's side
 * @param time they took, summed over all
 * @param scoredTokens generated tokens whose log-probability the engine returned
 * @param logProbability of these, summed; natural logarithm
 */
public record ServingFigures(
    long requests, long failures, Duration time, long scoredTokens, double logProbability) {

  public static final ServingFigures NONE = new ServingFigures(0, 0, Duration.ZERO);

  /** Without log-probabilities. */
  public ServingFigures(long requests, long failures, Duration time) {
    this(requests, failures, time, 0, 0);
  }

  /** What came after an earlier reading. */
  ServingFigures since(ServingFigures earlier) {
    return new ServingFigures(
        requests - earlier.requests,
        failures - earlier.failures,
        time.minus(earlier.time),
        scoredTokens - earlier.scoredTokens,
        logProbability - earlier.logProbability);
  }

  double errorRate() {
    return requests == 0 ? 0 : (double) failures / requests;
  }

  double meanMillis() {
    return requests == 0 ? 0 : time.toNanos() / 1e6 / requests;
  }

  /** Of a token; 0 without any. */
  double meanLogProbability() {
    return scoredTokens == 0 ? 0 : logProbability / scoredTokens;
  }
}
