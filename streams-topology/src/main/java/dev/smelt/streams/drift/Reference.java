package dev.smelt.streams.drift;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What a layer's recent windows say about its ordinary variation. It looks only at differences
 * between windows a few apart, so that a slow or a past drift hardly counts, and needs no list of
 * requests. Immutable.
 *
 * <p>A difference beyond what is plausible (a shift happened between the two windows) is shortened
 * to the longest plausible one, so that the shift doesn't hide itself.
 */
public final class Reference {

  private static final double IMPLAUSIBLE = 0.001;

  /** Part of each new window in the running means of the energies. */
  private static final double ENERGY_WEIGHT = 1.0 / 24;

  /** A window as it is remembered: shares and independent requests. */
  record Shares(double requests, float[] frequency) {}

  private final int experts;
  private final long observed;
  private final List<Shares> recent;
  private final List<float[]> differences;
  private final double[] energies;

  /** Inner products of the differences, once they were needed. */
  private double @Nullable [][] products;

  private @Nullable Spread spread;

  Reference(
      int experts,
      long observed,
      List<Shares> recent,
      List<float[]> differences,
      double[] energies) {
    this.experts = experts;
    this.observed = observed;
    this.recent = recent;
    this.differences = differences;
    this.energies = energies;
  }

  /** Nothing known yet. */
  public static Reference empty(int experts) {
    return new Reference(experts, 0, List.of(), List.of(), new double[0]);
  }

  public int experts() {
    return experts;
  }

  /** Differences that the estimate is made from. */
  public int windows() {
    return differences.size();
  }

  /**
   * Takes one more window.
   *
   * @param frequency shares of the experts in the window; [experts]
   * @param requests independent requests in the window
   * @param expected long-term shares, such as the profile's, the window included; [experts]
   */
  public Reference observe(
      double[] frequency, double requests, double[] expected, DriftSettings settings) {
    int lag = settings.referenceLag();
    float[] shares = new float[experts];
    for (int e = 0; e < experts; e++) {
      shares[e] = (float) frequency[e];
    }
    Shares window = new Shares(requests, shares);
    double[] means = energies.length == lag ? energies.clone() : new double[lag];
    List<float[]> kept = new ArrayList<>(differences);
    boolean lagged = recent.size() >= lag;
    if (lagged) {
      long pairs = observed - lag;
      double weight = Math.max(ENERGY_WEIGHT, 1.0 / (pairs + 1));
      double limit = spread(settings).map(s -> s.quantile(IMPLAUSIBLE)).orElse(Double.MAX_VALUE);
      for (int back = 1; back <= lag; back++) {
        float[] difference = difference(window, recent.get(recent.size() - back), expected);
        double energy = dot(difference, difference);
        means[back - 1] += weight * (Math.min(energy, limit) - means[back - 1]);
        if (back == lag) {
          kept.add(energy > limit ? shortened(difference, Math.sqrt(limit / energy)) : difference);
        }
      }
    }
    List<Shares> remembered = new ArrayList<>(recent);
    remembered.add(window);
    Reference next =
        new Reference(
            experts,
            observed + 1,
            lastOf(remembered, lag),
            lastOf(kept, settings.referenceWindows()),
            means);
    if (products != null) {
      next.products = lagged ? productsWithLast(products, next.differences) : products;
    }
    return next;
  }

  /** The variation, once enough windows are known. */
  public Optional<Spread> spread(DriftSettings settings) {
    int n = differences.size();
    if (n < settings.minimumReferenceWindows()) {
      return Optional.empty();
    }
    if (spread == null) {
      if (products == null) {
        products = products(differences);
      }
      spread = spread(products);
    }
    return Optional.of(spread);
  }

  private static double[][] products(List<float[]> differences) {
    int n = differences.size();
    double[][] products = new double[n][n];
    for (int i = 0; i < n; i++) {
      for (int j = i; j < n; j++) {
        products[i][j] = dot(differences.get(i), differences.get(j));
        products[j][i] = products[i][j];
      }
    }
    return products;
  }

  /** The products of differences of which all but the last were known; the earliest may be gone. */
  private static double[][] productsWithLast(double[][] known, List<float[]> differences) {
    int last = differences.size() - 1;
    int gone = known.length - last;
    double[][] products = new double[last + 1][last + 1];
    for (int i = 0; i < last; i++) {
      System.arraycopy(known[i + gone], gone, products[i], 0, last);
    }
    for (int i = 0; i <= last; i++) {
      products[i][last] = dot(differences.get(i), differences.get(last));
      products[last][i] = products[i][last];
    }
    return products;
  }

  private static Spread spread(double[][] products) {
    int n = products.length;
    double first = 0;
    double second = 0;
    double third = 0;
    for (int i = 0; i < n; i++) {
      double[] row = products[i];
      first += row[i];
      for (int j = 0; j < n; j++) {
        second += row[j] * row[j];
        double squared = 0;
        for (int k = 0; k < n; k++) {
          squared += row[k] * products[j][k];
        }
        third += squared * row[j];
      }
    }
    if (second == 0) {
      return new Spread(0, 0, 1, 1);
    }
    first /= n;
    second /= (double) n * n;
    third /= (double) n * n * n;
    double degrees = second * second * second / (third * third);
    // Neighbouring differences share a window: their squared lengths correlate by 1/4 on both
    // sides.
    double calibrationDegrees = degrees * n / 1.5;
    return new Spread(first, Math.sqrt(second * degrees), degrees, calibrationDegrees);
  }

  /**
   * By how much requests that last for several windows make neighbouring windows alike: the
   * variance of a mean over many windows is so many times that of as many independent ones; at
   * least 1. It is {@code 1 + 2 sum_h rho_h}, the correlation at h windows being one minus the mean
   * squared difference at h over that at the reference lag.
   */
  public double persistence() {
    double sum = 1;
    int lag = energies.length;
    for (int back = 1; back < lag; back++) {
      if (energies[lag - 1] > 0) {
        sum += 2 * Math.max(0, 1 - energies[back - 1] / energies[lag - 1]);
      }
    }
    return sum;
  }

  private float[] difference(Shares window, Shares earlier, double[] expected) {
    double unit = Math.sqrt(1 / window.requests + 1 / earlier.requests);
    float[] difference = new float[experts];
    for (int e = 0; e < experts; e++) {
      if (expected[e] > 0) {
        double gap = window.frequency[e] - earlier.frequency[e];
        difference[e] = (float) (gap / Math.sqrt(expected[e]) / unit);
      }
    }
    return difference;
  }

  private static float[] shortened(float[] difference, double factor) {
    float[] shorter = new float[difference.length];
    for (int e = 0; e < shorter.length; e++) {
      shorter[e] = (float) (factor * difference[e]);
    }
    return shorter;
  }

  private static double dot(float[] left, float[] right) {
    double sum = 0;
    for (int i = 0; i < left.length; i++) {
      sum += left[i] * right[i];
    }
    return sum;
  }

  private static <T> List<T> lastOf(List<T> list, int count) {
    return List.copyOf(list.subList(Math.max(0, list.size() - count), list.size()));
  }

  long observed() {
    return observed;
  }

  List<Shares> recent() {
    return recent;
  }

  List<float[]> differences() {
    return differences;
  }

  double[] energies() {
    return energies;
  }
}
