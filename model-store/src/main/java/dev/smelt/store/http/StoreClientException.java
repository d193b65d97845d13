package dev.smelt.store.http;

/** A store that cannot be reached or does not do what was asked; the message names its URL. */
public final class StoreClientException extends RuntimeException {

  private final int status;

  StoreClientException(int status, String message) {
    super(message);
    this.status = status;
  }

  StoreClientException(String message, Throwable cause) {
    super(message, cause);
    this.status = 0;
  }

  /** The HTTP status of the answer, 0 if there was none. */
  public int status() {
    return status;
  }
}
