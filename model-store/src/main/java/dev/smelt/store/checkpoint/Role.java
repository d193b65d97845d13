package dev.smelt.store.checkpoint;

import java.util.Locale;

/**
 * A weight of an expert. In canonical orientation {@code GATE} and {@code UP} are [width, hidden],
 * {@code DOWN} is [hidden, width]; biases are vectors of the first of these sizes. Switch
 * Transformers know only {@code UP} (their {@code wi}) and {@code DOWN} ({@code wo}).
 */
public enum Role {
  GATE,
  UP,
  DOWN,
  GATE_BIAS,
  UP_BIAS,
  DOWN_BIAS;

  /** Whether this is a bias vector. */
  public boolean bias() {
    return this != matrix();
  }

  /** The matrix that this role belongs to: itself, or that which the bias is added after. */
  public Role matrix() {
    return switch (this) {
      case GATE, GATE_BIAS -> GATE;
      case UP, UP_BIAS -> UP;
      case DOWN, DOWN_BIAS -> DOWN;
    };
  }

  /** {@code gate}, {@code up} or {@code down}. */
  String label() {
    return matrix().name().toLowerCase(Locale.ROOT);
  }

  /** Rows of this weight in canonical orientation. */
  public int rows(int hidden, int width) {
    return matrix() == DOWN ? hidden : width;
  }

  /** Columns of this weight in canonical orientation; 1 for a bias. */
  public int columns(int hidden, int width) {
    return bias() ? 1 : matrix() == DOWN ? width : hidden;
  }
}
