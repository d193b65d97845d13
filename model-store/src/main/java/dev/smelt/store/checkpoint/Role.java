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
    return ordinal() >= GATE_BIAS.ordinal();
  }

  /** The matrix that this role belongs to: itself, or that which the bias is added after. */
  public Role matrix() {
    return bias() ? values()[ordinal() - GATE_BIAS.ordinal()] : this;
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
