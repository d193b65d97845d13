package dev.smelt.agent.control;

/**
 * A number that says how good answers are, measured by somebody outside.
 *
 * @param name of what is measured, 1 to 64 letters, digits, '.', '_' and '-'
 * @param value finite
 * @param better which direction is good
 */
public record Signal(String name, double value, Better better) {

  /** Which values are better. */
  public enum Better {
    LOWER,
    HIGHER
  }

  public Signal {
    if (!name.matches("[A-Za-z0-9._-]{1,64}")) {
      throw new IllegalArgumentException(
          "name: use 1 to 64 letters, digits, '.', '_' and '-', such as answer-quality");
    }
    if (!Double.isFinite(value)) {
      throw new IllegalArgumentException("value: use a finite number");
    }
  }
}
