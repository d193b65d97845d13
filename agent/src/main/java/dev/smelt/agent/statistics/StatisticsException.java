package dev.smelt.agent.statistics;

/** Statistics that can't be read or don't fit; the message names the file or block. */
public final class StatisticsException extends RuntimeException {

  public StatisticsException(String message) {
    super(message);
  }
}
