package dev.smelt.streams.drift;

/** Whether a layer's drift could be judged. */
public enum Status {
  JUDGED,
  /** No baseline is known, or one of another number of experts. */
  NO_BASELINE,
  /** Too few windows so far to know the ordinary variation. */
  CALIBRATING,
  /** Too few requests, in the profile or behind the baseline. */
  TOO_FEW_REQUESTS
}
