package dev.smelt.agent.control;

import dev.smelt.agent.config.CanarySettings;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * Compares how a model serves after an activation with how it served before. Numbers may be posted
 * by any thread; everything else is called by the loop's.
 *
 * <p>An error rate is worse when the lower end of its 99% score interval (Wilson, 1927) is over the
 * rate before by more than the tolerance, so that one failure among few requests condemns nobody.
 * The mean latency is judged at the end of the window only, without the first tenth of it: the
 * requests that a swap held up end there. The mean log-probability of the generated tokens is
 * judged at the end, too: the traffic varies, and a mean over much of it less.
 */
final class CanaryWatch {

  private static final double SCORE = 2.326;
  private static final int MOST_SIGNALS = 32;
  private static final int MOST_VALUES = 1_000;
  private static final int SETTLING = 10;
  private static final int FEWEST_SCORED = 1_000;

  /**
   * How the model served before an activation.
   *
   * @param requests that the figures rest on
   * @param errorRate share of failed requests
   * @param meanMillis mean time of a request
   * @param signals mean of each posted number
   * @param scoredTokens that the mean log-probability rests on
   * @param meanLogProbability of a generated token, in nats
   */
  record Level(
      long requests,
      double errorRate,
      double meanMillis,
      Map<String, Double> signals,
      long scoredTokens,
      double meanLogProbability) {
    Level {
      signals = Map.copyOf(signals);
    }
  }

  /** What the comparison says. */
  sealed interface Finding {
    String reason();

    /** Nothing against the snapshot yet; the window is still open. */
    record Open(String reason) implements Finding {}

    /** The window is over and nothing is worse. */
    record Well(String reason, Map<String, Object> figures) implements Finding {}

    /** Something is worse beyond tolerance. */
    record Worse(String reason, Map<String, Object> figures) implements Finding {}
  }

  private record Reading(Instant at, ServingFigures serving) {}

  private record Posted(Instant at, Signal signal) {}

  private final CanarySettings settings;
  private final Supplier<ServingFigures> serving;
  private final Deque<Reading> readings = new ArrayDeque<>();
  private final Map<String, Deque<Posted>> posted = new LinkedHashMap<>();
  private ServingFigures atBegin = ServingFigures.NONE;
  private ServingFigures settled = ServingFigures.NONE;
  private Instant began = Instant.MIN;
  private boolean settling;

  CanaryWatch(CanarySettings settings, Supplier<ServingFigures> serving) {
    this.settings = settings;
    this.serving = serving;
  }

  /**
   * Takes a number.
   *
   * @throws IllegalArgumentException if it is of one kind more than are kept
   */
  synchronized void post(Signal signal, Instant now) {
    if (!posted.containsKey(signal.name()) && posted.size() == MOST_SIGNALS) {
      throw new IllegalArgumentException(
          "name: " + MOST_SIGNALS + " signals are known, the most kept: " + posted.keySet());
    }
    Deque<Posted> values = posted.computeIfAbsent(signal.name(), name -> new ArrayDeque<>());
    values.addLast(new Posted(now, signal));
    if (values.size() > MOST_VALUES) {
      values.removeFirst();
    }
  }

  /** Notes how things are while nothing is watched. */
  void note(Instant now) {
    readings.addLast(new Reading(now, serving.get()));
    Instant oldest = now.minus(settings.window());
    while (readings.getFirst().at().isBefore(oldest)) {
      readings.removeFirst();
    }
  }

  /** How the model served up to now. */
  Level level(Instant now) {
    note(now);
    ServingFigures before = serving.get().since(readings.getFirst().serving());
    return new Level(
        before.requests(),
        before.errorRate(),
        before.meanMillis(),
        means(now.minus(settings.window()), now),
        before.scoredTokens(),
        before.meanLogProbability());
  }

  /** Another snapshot serves from now on. */
  void begin(Instant now) {
    readings.clear();
    began = now;
    atBegin = serving.get();
    settled = atBegin;
    settling = true;
  }

  /**
   * Compares.
   *
   * @param before from {@link #level}
   * @param until the end of the window
   */
  Finding judge(Level before, Instant now, Instant until) {
    if (settling && !now.isBefore(began.plus(settings.window().dividedBy(SETTLING)))) {
      settled = serving.get();
      settling = false;
    }
    ServingFigures since = serving.get().since(atBegin);
    ServingFigures steady = serving.get().since(settled);
    boolean over = !now.isBefore(until);
    Map<String, Double> signals = means(began, now);
    Map<String, Object> figures = figures(before, since, steady, signals);
    Optional<String> worse =
        errors(before, since)
            .or(() -> over ? latency(before, steady) : Optional.empty())
            .or(() -> over ? logProbability(before, since) : Optional.empty())
            .or(() -> signal(before, signals));
    if (worse.isPresent()) {
      return new Finding.Worse(worse.get(), figures);
    }
    String seen =
        format(
            "%d requests, %.1f%% failed (%.1f%% before), %.0f ms (%.0f ms before)",
            since.requests(),
            100 * since.errorRate(),
            100 * before.errorRate(),
            steady.meanMillis(),
            before.meanMillis());
    if (!over) {
      return new Finding.Open(
          format("%ds to go; ", Duration.between(now, until).toSeconds()) + seen);
    }
    boolean judged = since.requests() >= settings.minimumRequests();
    return new Finding.Well(
        judged ? seen : seen + "; too few to judge (canary.minimumRequests)", figures);
  }

  private Optional<String> errors(Level before, ServingFigures since) {
    if (since.requests() < settings.minimumRequests()) {
      return Optional.empty();
    }
    double atLeast = scoreBound(since.failures(), since.requests());
    return atLeast <= before.errorRate() + settings.errorRate()
        ? Optional.empty()
        : Optional.of(
            format(
                "%d of %d requests failed, %.1f%% before (canary.errorRate)",
                since.failures(), since.requests(), 100 * before.errorRate()));
  }

  private Optional<String> latency(Level before, ServingFigures steady) {
    boolean judged =
        steady.requests() >= settings.minimumRequests()
            && before.requests() >= settings.minimumRequests();
    return !judged || steady.meanMillis() <= settings.latency() * before.meanMillis()
        ? Optional.empty()
        : Optional.of(
            format(
                "a request takes %.0f ms, %.0f ms before (canary.latency)",
                steady.meanMillis(), before.meanMillis()));
  }

  private Optional<String> logProbability(Level before, ServingFigures since) {
    boolean judged =
        since.scoredTokens() >= FEWEST_SCORED && before.scoredTokens() >= FEWEST_SCORED;
    double fall = before.meanLogProbability() - since.meanLogProbability();
    return !judged || fall <= settings.logProbability()
        ? Optional.empty()
        : Optional.of(
            format(
                "a token has a log-probability of %.3f in the mean, %.3f before"
                    + " (canary.logProbability)",
                since.meanLogProbability(), before.meanLogProbability()));
  }

  private synchronized Optional<String> signal(Level before, Map<String, Double> signals) {
    return signals.entrySet().stream()
        .filter(signal -> before.signals().containsKey(signal.getKey()))
        .filter(
            signal -> {
              double was = before.signals().get(signal.getKey());
              double rise = signal.getValue() - was;
              boolean lower =
                  posted.get(signal.getKey()).getLast().signal().better() == Signal.Better.LOWER;
              return (lower ? rise : -rise) > settings.signal() * Math.abs(was);
            })
        .map(
            signal ->
                format(
                    "%s is %.4g, %.4g before (canary.signal)",
                    signal.getKey(), signal.getValue(), before.signals().get(signal.getKey())))
        .findFirst();
  }

  private synchronized Map<String, Double> means(Instant from, Instant to) {
    Map<String, Double> means = new HashMap<>();
    posted.forEach(
        (name, values) ->
            values.stream()
                .filter(value -> !value.at().isBefore(from) && !value.at().isAfter(to))
                .mapToDouble(value -> value.signal().value())
                .average()
                .ifPresent(mean -> means.put(name, mean)));
    return means;
  }

  private static Map<String, Object> figures(
      Level before, ServingFigures since, ServingFigures steady, Map<String, Double> signals) {
    Map<String, Object> figures = new LinkedHashMap<>();
    figures.put("requests", since.requests());
    figures.put("failures", since.failures());
    figures.put("errorRateBefore", before.errorRate());
    figures.put("meanMillis", steady.meanMillis());
    figures.put("meanMillisBefore", before.meanMillis());
    figures.put("meanLogProbability", since.meanLogProbability());
    figures.put("meanLogProbabilityBefore", before.meanLogProbability());
    figures.put("signals", signals);
    figures.put("signalsBefore", before.signals());
    return figures;
  }

  /** The lower end of the score interval of a share. */
  private static double scoreBound(long failures, long requests) {
    double share = (double) failures / requests;
    double square = SCORE * SCORE;
    double centre = share + square / (2 * requests);
    double spread = SCORE * Math.sqrt((share * (1 - share) + square / (4.0 * requests)) / requests);
    return (centre - spread) / (1 + square / requests);
  }

  private static String format(String pattern, Object... arguments) {
    return String.format(Locale.ROOT, pattern, arguments);
  }
}
