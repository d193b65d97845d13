package dev.smelt.agent.doctor;

import java.util.Optional;

/**
 * One thing that was found out.
 *
 * @param about what was looked at
 * @param verdict how it is
 * @param says the fact, in plain words
 * @param remedy what to change, where something has to
 */
public record Finding(About about, Verdict verdict, String says, Optional<String> remedy) {

  /** What was looked at. */
  public enum About {
    ENGINE("engine"),
    ROUTED_EXPERTS("routed experts"),
    WEIGHT_UPDATE("weight update"),
    SHAPES("shapes");

    private final String words;

    About(String words) {
      this.words = words;
    }

    /** For a person. */
    public String words() {
      return words;
    }
  }

  /** How it is. */
  public enum Verdict {
    /** Works as Smelt needs it. */
    GOOD,
    /** Could not be found out, or works with a limit. */
    UNSURE,
    /** Does not work; the remedy says what to change. */
    BAD
  }

  static Finding good(About about, String says) {
    return new Finding(about, Verdict.GOOD, says, Optional.empty());
  }

  static Finding unsure(About about, String says, String remedy) {
    return new Finding(about, Verdict.UNSURE, says, Optional.of(remedy));
  }

  static Finding bad(About about, String says, String remedy) {
    return new Finding(about, Verdict.BAD, says, Optional.of(remedy));
  }
}
