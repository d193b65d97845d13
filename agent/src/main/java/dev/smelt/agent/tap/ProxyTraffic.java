package dev.smelt.agent.tap;

import java.time.Duration;
import java.util.concurrent.atomic.DoubleAdder;
import java.util.concurrent.atomic.LongAdder;

/**
 * What went through a proxy since it started; only POST requests, which are those that the model
 * answers.
 *
 * @param requests answered requests
 * @param failures those answered with a status of 500 or more
 * @param time from request to the end of the answer, summed over all
 * @param scoredTokens tokens of tapped answers whose log-probability the client had asked for
 * @param logProbability of these, summed; natural logarithm
 */
public record ProxyTraffic(
    long requests, long failures, Duration time, long scoredTokens, double logProbability) {

  /** Counts; safe for use by several threads. */
  static final class Counter {

    private final LongAdder requests = new LongAdder();
    private final LongAdder failures = new LongAdder();
    private final LongAdder nanos = new LongAdder();
    private final LongAdder scoredTokens = new LongAdder();
    private final DoubleAdder logProbability = new DoubleAdder();

    void answered(int status, long tookNanos) {
      requests.increment();
      nanos.add(tookNanos);
      if (status >= 500) {
        failures.increment();
      }
    }

    void scored(TokenScores scores) {
      scoredTokens.add(scores.tokens());
      logProbability.add(scores.sum());
    }

    ProxyTraffic read() {
      return new ProxyTraffic(
          requests.sum(),
          failures.sum(),
          Duration.ofNanos(nanos.sum()),
          scoredTokens.sum(),
          logProbability.sum());
    }
  }
}
