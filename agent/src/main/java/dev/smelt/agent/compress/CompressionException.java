package dev.smelt.agent.compress;

/** Experts that can't be compressed as asked; the message names the block or setting. */
public final class CompressionException extends RuntimeException {

  public CompressionException(String message) {
    super(message);
  }
}
