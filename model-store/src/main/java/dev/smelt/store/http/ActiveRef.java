package dev.smelt.store.http;

import dev.smelt.store.snapshot.Reason;
import dev.smelt.store.snapshot.Ref;
import dev.smelt.store.snapshot.RefUpdate;
import dev.smelt.store.snapshot.SnapshotStore;
import java.util.Optional;

/**
 * How the ref {@code active} is moved: an agent makes its engine serve the snapshot first. Called
 * on a thread that may block.
 */
public interface ActiveRef {

  /**
   * Moves the ref if it points where the caller expects.
   *
   * @param expected empty if nothing must be active
   */
  RefUpdate move(String model, Optional<String> expected, String target, Reason reason);

  /**
   * Moves the ref to an earlier snapshot.
   *
   * @param to empty for the one that was active before
   */
  RefUpdate rollback(String model, Optional<String> to, Reason reason);

  /** Moves the ref and nothing else. */
  static ActiveRef of(SnapshotStore store) {
    return new ActiveRef() {
      @Override
      public RefUpdate move(String model, Optional<String> expected, String target, Reason reason) {
        return store.moveRef(model, Ref.ACTIVE, expected, target, reason);
      }

      @Override
      public RefUpdate rollback(String model, Optional<String> to, Reason reason) {
        return store.rollback(model, to, reason);
      }
    };
  }
}
