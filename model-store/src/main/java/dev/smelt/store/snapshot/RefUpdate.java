package dev.smelt.store.snapshot;

import java.util.Optional;

/** What became of an attempt to move a ref. */
public sealed interface RefUpdate {

  /** The move is done and on stable storage. */
  record Moved(LogEntry entry) implements RefUpdate {}

  /**
   * The ref did not point where the caller expected; nothing was changed.
   *
   * @param actual where it points
   */
  record Conflict(Optional<String> actual) implements RefUpdate {}

  /**
   * The ref reads as moved, but the disk failed while the move was made durable: it may come back
   * as it was after a power failure. Read the ref before trying again.
   *
   * @param entry the move
   * @param cause the disk's words
   */
  record Unknown(LogEntry entry, String cause) implements RefUpdate {}
}
