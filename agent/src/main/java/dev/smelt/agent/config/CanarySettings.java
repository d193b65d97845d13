package dev.smelt.agent.config;

import java.time.Duration;

/**
 * How a snapshot is watched after the loop has activated it, against the time before.
 *
 * @param window how long it is watched and how much of the time before it is compared with; 2 min
 *     by default, the order of Flagger's five intervals of 30 s and of Argo Rollouts' analysis
 *     steps; 0s switches the watch off
 * @param minimumRequests requests on either side before error rate and latency are judged; 20 by
 *     default
 * @param errorRate by how much the share of failed requests may rise; 0.01 by default: Flagger's
 *     usual bound is a success rate of 99%
 * @param latency how many times the mean time of a request may become; 1.5 by default
 * @param signal by which share a number posted to the API may become worse; 0.05 by default
 * @param logProbability by how much the mean log-probability of a generated token may fall, in
 *     nats, where clients ask the engine for it; 0.1 by default: a perplexity higher by a tenth,
 *     and more than two samples of 1,000 tokens, the fewest that are judged, differ by chance
 */
public record CanarySettings(
    Duration window,
    Integer minimumRequests,
    Double errorRate,
    Double latency,
    Double signal,
    Double logProbability) {

  static final CanarySettings DEFAULT = new CanarySettings(null, null, null, null, null, null);

  public CanarySettings {
    window = Settings.notNegative("window", Settings.orElse(window, Duration.ofMinutes(2)));
    minimumRequests = Settings.orElse(minimumRequests, 20);
    Settings.require(minimumRequests >= 1, "minimumRequests", "use 1 or more");
    errorRate = Settings.share("errorRate", Settings.orElse(errorRate, 0.01));
    latency = Settings.orElse(latency, 1.5);
    Settings.require(latency >= 1, "latency", "use 1 or more times the latency before");
    signal = Settings.orElse(signal, 0.05);
    Settings.require(signal >= 0, "signal", "use a share of 0 or more");
    logProbability = Settings.orElse(logProbability, 0.1);
    Settings.require(logProbability >= 0, "logProbability", "use 0 nats or more");
  }

  /** Whether activations are watched at all. */
  public boolean watches() {
    return !window.isZero();
  }
}
