package dev.smelt.streams.drift;

/**
 * How far some span of traffic is from the baseline.
 *
 * @param value Jensen-Shannon distance (base 2, 0 to 1), corrected for what finite samples of the
 *     same traffic show anyway: 0 when there is no more difference than that
 * @param threshold the corrected distance from which on the span counts as drifted; 1 while it
 *     can't be judged
 * @param uncorrected Jensen-Shannon distance as it is
 * @param pValue probability of at least this distance while nothing drifts; 1 while it can't be
 *     judged
 */
public record Distance(double value, double threshold, double uncorrected, double pValue) {

  /** True if the value reaches the threshold. */
  public boolean exceeded() {
    return value >= threshold;
  }
}
