package dev.smelt.streams.profile;

import dev.smelt.streams.usage.LayerKey;
import dev.smelt.streams.usage.Triangle;
import dev.smelt.streams.usage.Usage;
import dev.smelt.streams.usage.UsageStatistics;
import dev.smelt.streams.usage.UsageWindow;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The usage of one layer with an exponentially fading memory: the best estimate of its current
 * traffic. A window that ended {@code t} ago weighs {@code 2^(-t / halfLife)}. Immutable.
 *
 * <p>Planning reads it as {@link UsageStatistics}; all numbers are decayed sums, so only their
 * ratios mean something.
 */
public final class Profile implements UsageStatistics {

  private static final double ROUNDING = 1e-9;

  private final LayerKey key;
  private final Instant asOf;
  private final int experts;
  private final int topK;
  private final long windows;
  private final double tokens;
  private final double requests;
  private final double squaredRequests;
  private final double[] counts;
  private final double[] pairs;
  private final double @Nullable [] gateMass;
  private final double @Nullable [] logitGram;
  private final double @Nullable [] outputNorm;

  /**
   * The arrays are not copied: the caller gives them away. {@code logitGram} is a packed triangle.
   */
  Profile(
      LayerKey key,
      Instant asOf,
      int experts,
      int topK,
      long windows,
      double tokens,
      double requests,
      double squaredRequests,
      double[] counts,
      double[] pairs,
      double @Nullable [] gateMass,
      double @Nullable [] logitGram,
      double @Nullable [] outputNorm) {
    this.key = key;
    this.asOf = asOf;
    this.experts = experts;
    this.topK = topK;
    this.windows = windows;
    this.tokens = tokens;
    this.requests = requests;
    this.squaredRequests = squaredRequests;
    this.counts = counts;
    this.pairs = pairs;
    this.gateMass = gateMass;
    this.logitGram = logitGram;
    this.outputNorm = outputNorm;
  }

  /** The profile after one window. */
  public static Profile of(UsageWindow window) {
    Usage usage = window.usage();
    Profile nothing =
        new Profile(
            window.key(),
            window.end(),
            usage.experts(),
            usage.topK(),
            0,
            0,
            0,
            0,
            new double[usage.experts()],
            new double[Triangle.pairs(usage.experts())],
            null,
            null,
            null);
    return nothing.plus(window, Duration.ofMillis(1));
  }

  /**
   * The profile after one more window. A window older than the profile (which happens only when
   * windows are replayed out of order) is added at its own, lower weight.
   *
   * @param halfLife time after which a window weighs half
   * @throws IllegalArgumentException if the window is of another layer or shape
   */
  public Profile plus(UsageWindow window, Duration halfLife) {
    Usage usage = window.usage();
    if (!window.key().equals(key) || !sameShape(usage)) {
      throw new IllegalArgumentException(
          "the profile of "
              + key
              + " ("
              + experts
              + " experts, top-"
              + topK
              + ") can't take a window of "
              + window.key()
              + " ("
              + usage.experts()
              + " experts, top-"
              + usage.topK()
              + ")");
    }
    double age = Duration.between(asOf, window.end()).toMillis() / (double) halfLife.toMillis();
    double keep = Math.pow(2, -Math.max(0, age));
    double weight = Math.pow(2, Math.min(0, age));
    double started = independentRequests(usage);
    long[] newCounts = usage.counts();
    long[] newPairs = usage.coActivation().packed();
    double[] sums = scaled(counts, keep);
    for (int expert = 0; expert < experts; expert++) {
      sums[expert] += weight * newCounts[expert];
    }
    double[] pairSums = scaled(pairs, keep);
    for (int pair = 0; pair < pairSums.length; pair++) {
      pairSums[pair] += weight * newPairs[pair];
    }
    return new Profile(
        key,
        age > 0 ? window.end() : asOf,
        experts,
        topK,
        windows + 1,
        keep * tokens + weight * usage.tokens(),
        keep * requests + weight * started,
        keep * keep * squaredRequests + weight * weight * started,
        sums,
        pairSums,
        plus(gateMass, keep, usage.gateMass(), weight),
        plus(logitGram, keep, usage.logitGram().map(gram -> Triangle.pack(experts, gram)), weight),
        plus(outputNorm, keep, usage.outputNorm(), weight));
  }

  /**
   * The traffic that came after an earlier profile of the same layer, weighed as in this one. How
   * much of the earlier has faded is known, so the rest can be taken off exactly, up to rounding.
   *
   * @param halfLife with which this profile grew out of the earlier one
   * @return a profile without tokens if nothing came since
   * @throws IllegalArgumentException if the earlier one is of another layer or shape
   */
  public Profile since(Profile earlier, Duration halfLife) {
    if (!earlier.key.equals(key) || earlier.experts != experts || earlier.topK != topK) {
      throw new IllegalArgumentException(
          "the profile of " + key + " did not grow out of one of " + earlier.key);
    }
    double age = Duration.between(earlier.asOf, asOf).toMillis() / (double) halfLife.toMillis();
    double keep = Math.pow(2, -Math.max(0, age));
    return new Profile(
        key,
        asOf,
        experts,
        topK,
        Math.max(0, windows - earlier.windows),
        less(tokens, keep * earlier.tokens),
        less(requests, keep * earlier.requests),
        less(squaredRequests, keep * keep * earlier.squaredRequests),
        less(counts, keep, earlier.counts),
        less(pairs, keep, earlier.pairs),
        less(gateMass, keep, earlier.gateMass),
        less(logitGram, keep, earlier.logitGram),
        less(outputNorm, keep, earlier.outputNorm));
  }

  /** True if the window can be added to this profile. */
  public boolean sameShape(Usage usage) {
    return usage.experts() == experts && usage.topK() == topK;
  }

  /**
   * Requests that some usage stands for, as units of independence. Tokens without a request of
   * their own continue one that began earlier: they count as one.
   */
  public static double independentRequests(Usage usage) {
    return usage.tokens() == 0 ? 0 : Math.max(1, usage.requests());
  }

  public LayerKey key() {
    return key;
  }

  /** End of the latest window in it. */
  public Instant asOf() {
    return asOf;
  }

  @Override
  public int experts() {
    return experts;
  }

  @Override
  public int topK() {
    return topK;
  }

  /** Windows added since the profile began, however faded. */
  public long windows() {
    return windows;
  }

  /** Decayed number of tokens. */
  public double tokens() {
    return tokens;
  }

  /** Decayed number of requests. */
  public double requests() {
    return requests;
  }

  /**
   * Number of equally weighted requests that estimate the frequencies as well as these weighted
   * ones: {@code (sum w)^2 / sum w^2} (Kish, Survey Sampling, 1965).
   */
  public double effectiveRequests() {
    return squaredRequests == 0 ? 0 : requests * requests / squaredRequests;
  }

  /** Decayed number of times that each expert was among the chosen; [experts]. */
  public double[] counts() {
    return counts.clone();
  }

  @Override
  public double[] frequency() {
    double sum = Arrays.stream(counts).sum();
    double[] frequency = new double[experts];
    for (int expert = 0; expert < experts; expert++) {
      frequency[expert] = sum == 0 ? 1.0 / experts : counts[expert] / sum;
    }
    return frequency;
  }

  @Override
  public double coActivation(int first, int second) {
    return first == second ? counts[first] : pairs[Triangle.pair(experts, first, second)];
  }

  @Override
  public Optional<double[]> gateMass() {
    return Optional.ofNullable(gateMass).map(double[]::clone);
  }

  @Override
  public Optional<double[]> logitGram() {
    return Optional.ofNullable(logitGram).map(gram -> Triangle.unpack(experts, gram));
  }

  @Override
  public Optional<double[]> outputNorm() {
    return Optional.ofNullable(outputNorm).map(double[]::clone);
  }

  private static double[] scaled(double[] values, double factor) {
    double[] scaled = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      scaled[i] = factor * values[i];
    }
    return scaled;
  }

  private static double @Nullable [] plus(
      double @Nullable [] sums, double keep, Optional<double[]> more, double weight) {
    if (sums == null) {
      return more.map(values -> scaled(values, weight)).orElse(null);
    }
    double[] result = scaled(sums, keep);
    more.ifPresent(
        values -> {
          for (int i = 0; i < result.length; i++) {
            result[i] += weight * values[i];
          }
        });
    return result;
  }

  private static double @Nullable [] less(
      double @Nullable [] sums, double keep, double @Nullable [] earlier) {
    if (sums == null || earlier == null) {
      return sums;
    }
    double[] rest = new double[sums.length];
    for (int i = 0; i < rest.length; i++) {
      rest[i] = less(sums[i], keep * earlier[i]);
    }
    return rest;
  }

  /** What is smaller than rounding leaves is nothing; a Gram matrix has negative sums, too. */
  private static double less(double sum, double earlier) {
    double rest = sum - earlier;
    return Math.abs(rest) <= ROUNDING * Math.abs(sum) ? 0 : rest;
  }

  double squaredRequests() {
    return squaredRequests;
  }

  double[] packedPairs() {
    return pairs;
  }

  double @Nullable [] packedLogitGram() {
    return logitGram;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Profile that
        && key.equals(that.key)
        && asOf.equals(that.asOf)
        && topK == that.topK
        && windows == that.windows
        && tokens == that.tokens
        && requests == that.requests
        && squaredRequests == that.squaredRequests
        && Arrays.equals(counts, that.counts)
        && Arrays.equals(pairs, that.pairs)
        && Arrays.equals(gateMass, that.gateMass)
        && Arrays.equals(logitGram, that.logitGram)
        && Arrays.equals(outputNorm, that.outputNorm);
  }

  @Override
  public int hashCode() {
    return 31 * key.hashCode() + asOf.hashCode();
  }

  @Override
  public String toString() {
    return "Profile[key="
        + key
        + ", asOf="
        + asOf
        + ", experts="
        + experts
        + ", tokens="
        + tokens
        + ", requests="
        + requests
        + "]";
  }
}
