package dev.smelt.store.http;

/**
 * Someone who may call the API.
 *
 * @param name for the log
 * @param role what they may do
 */
public record Caller(String name, Role role) {

  /** What a caller may do. */
  public enum Role {
    /** Read everything. */
    VIEWER,
    /** Read and change everything. */
    OPERATOR;

    boolean covers(Role needed) {
      return this == OPERATOR || needed == VIEWER;
    }
  }

  /** Everybody on this machine, where no token is configured. */
  static final Caller LOCAL = new Caller("local", Role.OPERATOR);
}
