package dev.smelt.streams.topology;

import java.util.Arrays;
import java.util.BitSet;

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

  private final long[] seen = new long[SIZE / Long.SIZE];
  private long highest;
  private long lastSeenAt;
  private boolean changed;

  /** Nothing seen yet. */
  SequenceWindow() {
    highest = -1;
    Arrays.fill(seen, -1L);
  }

  /** As it was stored. */
  SequenceWindow(long highest, long lastSeenAt, byte[] bits) {
    this.highest = highest;
    this.lastSeenAt = lastSeenAt;
    if (bits.length == 0) {
      Arrays.fill(seen, -1L);
    } else {
      long[] words = BitSet.valueOf(bits).toLongArray();
      System.arraycopy(words, 0, seen, 0, Math.min(words.length, seen.length));
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
    for (long skipped = Math.max(highest + 1, sequence - SIZE + 1); skipped < sequence; skipped++) {
      seen[word(skipped)] &= ~bit(skipped);
    }
    seen[word(sequence)] |= bit(sequence);
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
    for (long word : seen) {
      if (word != -1L) {
        return Arrays.copyOf(BitSet.valueOf(seen).toByteArray(), SIZE / Byte.SIZE);
      }
    }
    return new byte[0];
  }

  private boolean isSeen(long sequence) {
    return (seen[word(sequence)] & bit(sequence)) != 0;
  }

  private static int word(long sequence) {
    return (int) (sequence % SIZE) / Long.SIZE;
  }

  private static long bit(long sequence) {
    return 1L << (sequence % Long.SIZE);
  }
}
