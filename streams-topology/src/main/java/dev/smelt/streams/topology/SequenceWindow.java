package dev.smelt.streams.topology;

import java.util.Arrays;
import java.util.BitSet;
import org.jspecify.annotations.Nullable;

/**
 * Which sequence numbers of one engine and layer have been seen, among the latest {@value #SIZE}:
 * so a repeated record is told from one that was overtaken (the anti-replay window of RFC 4303,
 * 3.4.3).
 */
final class SequenceWindow {

  /** Numbers below the highest that are remembered. */
  static final int SIZE = 1024;

  enum Verdict {
    FRESH,
    DUPLICATE,
    /** So far behind that nobody knows. */
    TOO_OLD
  }

  /** One bit for each remembered number; null if all are set, as long as none has been skipped. */
  private long @Nullable [] seen;

  private long highest;
  private long lastSeenAt;
  private boolean changed;

  /** Nothing seen yet. */
  SequenceWindow() {
    highest = -1;
  }

  /** As it was stored. */
  SequenceWindow(long highest, long lastSeenAt, byte[] bits) {
    this.highest = highest;
    this.lastSeenAt = lastSeenAt;
    if (bits.length > 0) {
      seen = Arrays.copyOf(BitSet.valueOf(bits).toLongArray(), SIZE / Long.SIZE);
    }
  }

  Verdict check(long sequence) {
    if (sequence > highest) {
      return Verdict.FRESH;
    }
    if (sequence <= highest - SIZE) {
      return Verdict.TOO_OLD;
    }
    return isSeen(sequence) ? Verdict.DUPLICATE : Verdict.FRESH;
  }

  /** Marks a number that is fresh; true if it is the first since this was written down. */
  boolean mark(long sequence, long at) {
    if (seen == null && sequence > highest + 1) {
      seen = new long[SIZE / Long.SIZE];
      Arrays.fill(seen, -1L);
    }
    if (seen != null) {
      for (long skipped = Math.max(highest + 1, sequence - SIZE + 1);
          skipped < sequence;
          skipped++) {
        seen[word(skipped)] &= ~bit(skipped);
      }
      seen[word(sequence)] |= bit(sequence);
    }
    highest = Math.max(highest, sequence);
    lastSeenAt = Math.max(lastSeenAt, at);
    boolean first = !changed;
    changed = true;
    return first;
  }

  void written() {
    changed = false;
  }

  long highest() {
    return highest;
  }

  /** When the engine was last heard of, in the records' own time, as milliseconds. */
  long lastSeenAt() {
    return lastSeenAt;
  }

  /** One bit for each remembered number, by number modulo {@value #SIZE}; empty if all are set. */
  byte[] bits() {
    if (seen == null || Arrays.stream(seen).allMatch(word -> word == -1L)) {
      return new byte[0];
    }
    return Arrays.copyOf(BitSet.valueOf(seen).toByteArray(), SIZE / Byte.SIZE);
  }

  private boolean isSeen(long sequence) {
    return seen == null || (seen[word(sequence)] & bit(sequence)) != 0;
  }

  private static int word(long sequence) {
    return (int) (sequence % SIZE) / Long.SIZE;
  }

  private static long bit(long sequence) {
    return 1L << (sequence % Long.SIZE);
  }
}
