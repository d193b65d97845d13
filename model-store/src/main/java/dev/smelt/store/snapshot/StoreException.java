package dev.smelt.store.snapshot;

/** Something the store cannot do; the message names the thing and, where there is one, a remedy. */
public sealed class StoreException extends RuntimeException {

  private StoreException(String message) {
    super(message);
  }

  private StoreException(String message, Throwable cause) {
    super(message, cause);
  }

  /** A name that could not be an id: nothing was looked up. */
  public static final class InvalidName extends StoreException {
    InvalidName(String message) {
      super(message);
    }
  }

  /** A model, snapshot, ref or blob that is not there. */
  public static final class NotFound extends StoreException {
    NotFound(String message) {
      super(message);
    }
  }

  /** Stored bytes that are not what they should be. */
  public static final class Damaged extends StoreException {
    Damaged(String message) {
      super(message);
    }

    Damaged(String message, Throwable cause) {
      super(message, cause);
    }
  }

  /** A request that contradicts itself or the store. */
  public static final class Rejected extends StoreException {
    Rejected(String message) {
      super(message);
    }
  }

  /** A disk that refuses: full, read-only, failing. Nothing was changed. */
  public static final class Failed extends StoreException {
    Failed(String message, Throwable cause) {
      super(message, cause);
    }
  }

  /**
   * A change of which nobody can say whether it will survive a power failure. Nothing is cleaned up
   * after it; reading the store again tells what it holds.
   */
  public static final class UnknownOutcome extends StoreException {
    UnknownOutcome(String message, Throwable cause) {
      super(message, cause);
    }
  }
}
