package dev.smelt.streams.drift;

import dev.smelt.streams.profile.Baseline;
import dev.smelt.streams.profile.Profile;
import dev.smelt.streams.usage.LayerKey;
import dev.smelt.streams.usage.Usage;
import dev.smelt.streams.usage.UsageWindow;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * What one layer says about drift in one window, before it is weighed against the other layers.
 *
 * @param spread the layer's ordinary variation; null unless judged
 * @param profile evidence of the profile
 * @param window evidence of the window alone; null if it holds too few requests
 */
public record LayerEvidence(
    LayerKey key,
    String snapshot,
    Instant windowStart,
    Instant windowEnd,
    Status status,
    @Nullable Spread spread,
    SpanEvidence profile,
    @Nullable SpanEvidence window,
    long tokens,
    long requests,
    double effectiveRequests,
    int referenceWindows,
    List<Mover> movers) {

  public LayerEvidence {
    movers = List.copyOf(movers);
  }

  /**
   * Compares a layer's traffic with its baseline.
   *
   * @param window the window that has just closed
   * @param profile the profile, this window included
   * @param reference the layer's ordinary variation, this window included
   * @param baseline what the active snapshot was made for, if anything is known
   */
  public static LayerEvidence of(
      UsageWindow window,
      Profile profile,
      Reference reference,
      Optional<Baseline> baseline,
      DriftSettings settings) {
    Usage usage = window.usage();
    Optional<Baseline> comparable =
        baseline.filter(candidate -> candidate.experts() == usage.experts());
    Optional<Spread> spread = reference.spread(settings);
    double requests = Profile.independentRequests(usage);
    double persistence = reference.persistence();
    Status status = status(profile, comparable, spread, persistence, settings);
    double[] now = profile.frequency();
    double[] before = comparable.map(Baseline::frequency).orElse(now);
    double baselineUnit =
        comparable.map(known -> persistence / known.effectiveRequests()).orElse(0.0);
    SpanEvidence ofProfile =
        SpanEvidence.of(now, before, persistence / profile.effectiveRequests() + baselineUnit);
    SpanEvidence ofWindow = SpanEvidence.of(usage.frequency(), before, 1 / requests + baselineUnit);
    boolean windowCounts = status == Status.JUDGED && requests >= settings.minimumRequests();
    return new LayerEvidence(
        window.key(),
        comparable.map(Baseline::snapshot).orElse(""),
        window.start(),
        window.end(),
        status,
        status == Status.JUDGED ? spread.orElseThrow() : null,
        ofProfile,
        windowCounts ? ofWindow : null,
        usage.tokens(),
        usage.requests(),
        profile.effectiveRequests(),
        reference.windows(),
        comparable.isPresent() ? movers(before, now, settings.movers()) : List.of());
  }

  private static Status status(
      Profile profile,
      Optional<Baseline> baseline,
      Optional<Spread> spread,
      double persistence,
      DriftSettings settings) {
    if (baseline.isEmpty()) {
      return Status.NO_BASELINE;
    }
    if (spread.isEmpty()) {
      return Status.CALIBRATING;
    }
    double fewest =
        Math.min(profile.effectiveRequests(), baseline.get().effectiveRequests()) / persistence;
    return fewest < settings.minimumRequests() ? Status.TOO_FEW_REQUESTS : Status.JUDGED;
  }

  private static List<Mover> movers(double[] before, double[] now, int count) {
    return IntStream.range(0, now.length)
        .mapToObj(expert -> new Mover(expert, before[expert], now[expert]))
        .filter(mover -> mover.change() != 0)
        .sorted(Comparator.comparingDouble(mover -> -Math.abs(mover.change())))
        .limit(count)
        .toList();
  }

  /**
   * Probability of at least this much difference while nothing drifts, by whichever span is more
   * certain, times two because there are two of them; 1 if it can't be judged or doesn't matter.
   */
  double pValue(DriftSettings settings) {
    if (spread == null) {
      return 1;
    }
    double least = profile.relevantPValue(spread, settings);
    if (window != null) {
      least = Math.min(least, window.relevantPValue(spread, settings));
    }
    return Math.min(1, 2 * least);
  }

  /** The layer's drift when a p-value of {@code limit} or less counts as drifted. */
  LayerDrift judged(double limit, DriftSettings settings) {
    return new LayerDrift(
        key,
        snapshot,
        windowStart,
        windowEnd,
        status,
        profile.distance(spread, limit / 2, settings),
        window == null ? SpanEvidence.UNKNOWN : window.distance(spread, limit / 2, settings),
        tokens,
        requests,
        effectiveRequests,
        referenceWindows,
        pValue(settings) <= limit,
        movers);
  }
}
