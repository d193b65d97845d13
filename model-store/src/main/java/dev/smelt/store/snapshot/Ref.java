package dev.smelt.store.snapshot;

import java.time.Instant;
import java.util.Optional;

/**
 * A named pointer to a snapshot.
 *
 * @param name of the ref, unique in its model
 * @param snapshot what it points to
 * @param replaced what it pointed to before
 * @param sequence of the move in the model's log
 * @param at when it was moved
 */
public record Ref(
    String name, String snapshot, Optional<String> replaced, long sequence, Instant at) {

  /** The ref that every engine of the model should serve. */
  public static final String ACTIVE = "active";

  /** The snapshot without tensors that stands for the full model. */
  public static final String BASE = "base";

  /** What {@link #ACTIVE} pointed to before; moves with it and never by itself. */
  public static final String PREVIOUS = "previous";
}
