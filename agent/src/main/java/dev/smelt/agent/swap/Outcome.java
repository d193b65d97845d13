package dev.smelt.agent.swap;

/** How one step at an engine ended. */
sealed interface Outcome {

  /** The engine says that it did it. */
  record Done() implements Outcome {}

  /** The engine did not do it. */
  record Failed(String reason) implements Outcome {}

  /** The engine may have done it or may still be at it: no answer came back. */
  record Lost(String reason) implements Outcome {}

  static Outcome done() {
    return new Done();
  }

  /** What went wrong; empty if nothing did. */
  default String problem() {
    if (this instanceof Failed failed) {
      return failed.reason();
    }
    return this instanceof Lost lost ? lost.reason() : "";
  }
}
