package dev.smelt.agent.merge;

/** Experts that can't be merged; the message names the block and the expert. */
public final class MergeException extends RuntimeException {

  public MergeException(String message) {
    super(message);
  }

  MergeException(String message, Throwable cause) {
    super(message, cause);
  }
}
