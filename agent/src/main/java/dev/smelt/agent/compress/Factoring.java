package dev.smelt.agent.compress;

/**
 * How each weight of a merged expert becomes {@code U V + S}.
 *
 * @param rankRatio share of the matrix that U and V may take together, above 0 and at most 1
 * @param keep share of the residual's entries whose rows are kept in S, from 0 to 1
 */
public record Factoring(double rankRatio, double keep) {

  public Factoring {
    if (!(rankRatio > 0 && rankRatio <= 1)) {
      throw new CompressionException(
          "a rank ratio of " + rankRatio + " is outside the possible: choose above 0, at most 1");
    }
    if (!(keep >= 0 && keep <= 1)) {
      throw new CompressionException(
          "a keep ratio of " + keep + " is outside the possible: choose between 0 and 1");
    }
  }
}
