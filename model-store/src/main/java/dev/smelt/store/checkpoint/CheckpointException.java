package dev.smelt.store.checkpoint;

/** A checkpoint folder that cannot be used; the message names the folder, the part and a remedy. */
public final class CheckpointException extends RuntimeException {

  public CheckpointException(String message) {
    super(message);
  }

  public CheckpointException(String message, Throwable cause) {
    super(message, cause);
  }
}
