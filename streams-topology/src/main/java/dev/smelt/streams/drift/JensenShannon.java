package dev.smelt.streams.drift;

/**
 * Jensen-Shannon divergence in bits, between 0 (the same) and 1 (nothing in common); its square
 * root is a metric (Endres and Schindelin, 2003).
 */
public final class JensenShannon {

  /**
   * For distributions that are close, {@code BITS * divergence = sum (p - q)^2 / m} with {@code m =
   * (p + q) / 2}.
   */
  static final double BITS = 8 * Math.log(2);

  private JensenShannon() {}

  /** {@code sum_e p log2(p/m)/2 + q log2(q/m)/2}, over two arrays of shares of one length. */
  public static double divergence(double[] p, double[] q) {
    double sum = 0;
    for (int e = 0; e < p.length; e++) {
      double middle = (p[e] + q[e]) / 2;
      sum += part(p[e], middle) + part(q[e], middle);
    }
    return Math.max(0, sum / 2 / Math.log(2));
  }

  /** Square root of {@link #divergence}. */
  public static double distance(double[] p, double[] q) {
    return Math.sqrt(divergence(p, q));
  }

  private static double part(double share, double middle) {
    return share == 0 ? 0 : share * Math.log(share / middle);
  }
}
