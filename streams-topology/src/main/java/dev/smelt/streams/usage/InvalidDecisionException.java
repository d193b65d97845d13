package dev.smelt.streams.usage;

/** A routing decision that no router makes: an expert that doesn't exist, or one chosen twice. */
public final class InvalidDecisionException extends IllegalArgumentException {

  /** What is wrong with the decision. */
  public enum Reason {
    EXPERT_OUT_OF_RANGE,
    DUPLICATE_EXPERT
  }

  private final Reason reason;

  InvalidDecisionException(Reason reason, String message) {
    super(message);
    this.reason = reason;
  }

  public Reason reason() {
    return reason;
  }
}
