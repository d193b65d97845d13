package dev.smelt.agent.tap;

/** A payload of routed experts that is refused; nothing of it is used. */
public final class PayloadException extends Exception {

  private static final long serialVersionUID = 1L;

  private final TapFault fault;

  PayloadException(TapFault fault, String message) {
    super(message, null, false, false);
    this.fault = fault;
  }

  public TapFault fault() {
    return fault;
  }
}
