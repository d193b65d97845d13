package dev.smelt.agent.plan;

/** A plan that can't be made or read; the message names the block or file and the remedy. */
public final class PlanException extends RuntimeException {

  public PlanException(String message) {
    super(message);
  }

  PlanException(String message, Throwable cause) {
    super(message, cause);
  }
}
