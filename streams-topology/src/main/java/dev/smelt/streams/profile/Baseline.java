package dev.smelt.streams.profile;

import dev.smelt.streams.usage.LayerKey;
import dev.smelt.streams.usage.Usage;
import java.time.Instant;
import java.util.Arrays;

/**
 * The traffic of one layer that the active snapshot was made for: the value of the compacted topic
 * {@code smelt.baseline}, whose key is {@link LayerKey#toString}. Whoever activates a snapshot
 * sends one for each layer; drift is measured from it.
 *
 * @param key model and layer
 * @param snapshot the snapshot that became active
 * @param activatedAt when
 * @param frequency share of each expert; [experts], sums to 1
 * @param tokens tokens behind it
 * @param effectiveRequests independent requests behind it ({@link Profile#effectiveRequests}): with
 *     few, the baseline itself is uncertain, and drift needs stronger evidence
 */
public record Baseline(
    LayerKey key,
    String snapshot,
    Instant activatedAt,
    double[] frequency,
    double tokens,
    double effectiveRequests) {

  private static final double ROUNDING = 1e-6;

  public Baseline {
    frequency = frequency.clone();
    double sum = Arrays.stream(frequency).sum();
    boolean shares = Arrays.stream(frequency).allMatch(share -> share >= 0);
    if (!shares || Math.abs(sum - 1) > ROUNDING) {
      throw new IllegalArgumentException(
          key + ": the frequencies of a baseline are shares that sum to 1, not to " + sum);
    }
    if (!(effectiveRequests > 0) || !(tokens >= 0)) {
      throw new IllegalArgumentException(
          key + ": a baseline needs at least one request, not " + effectiveRequests);
    }
  }

  /** The baseline of a snapshot that was made from a profile. */
  public static Baseline of(Profile profile, String snapshot, Instant activatedAt) {
    return new Baseline(
        profile.key(),
        snapshot,
        activatedAt,
        profile.frequency(),
        profile.tokens(),
        profile.effectiveRequests());
  }

  /** The baseline of a snapshot that was made from recorded usage. */
  public static Baseline of(LayerKey key, Usage usage, String snapshot, Instant activatedAt) {
    return new Baseline(
        key,
        snapshot,
        activatedAt,
        usage.frequency(),
        usage.tokens(),
        Profile.independentRequests(usage));
  }

  @Override
  public double[] frequency() {
    return frequency.clone();
  }

  public int experts() {
    return frequency.length;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Baseline that
        && key.equals(that.key)
        && snapshot.equals(that.snapshot)
        && activatedAt.equals(that.activatedAt)
        && tokens == that.tokens
        && effectiveRequests == that.effectiveRequests
        && Arrays.equals(frequency, that.frequency);
  }

  @Override
  public int hashCode() {
    return 31 * key.hashCode() + snapshot.hashCode();
  }
}
