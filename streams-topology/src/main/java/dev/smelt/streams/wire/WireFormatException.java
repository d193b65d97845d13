package dev.smelt.streams.wire;

/** A record that can't be read: damaged, of another kind, or of a major version that is unknown. */
public final class WireFormatException extends RuntimeException {

  /** Why a record can't be read. */
  public enum Reason {
    /** The bytes end early, or contradict themselves. */
    DAMAGED,
    /** The bytes are another kind of record. */
    WRONG_KIND,
    /** A newer major version wrote the record. */
    UNKNOWN_VERSION
  }

  private final Reason reason;

  public WireFormatException(Reason reason, String message) {
    super(message);
    this.reason = reason;
  }

  public Reason reason() {
    return reason;
  }
}
