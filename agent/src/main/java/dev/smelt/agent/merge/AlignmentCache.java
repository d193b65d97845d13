package dev.smelt.agent.merge;

import dev.smelt.store.checkpoint.Checkpoint;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Remembers alignments. They depend on weights alone, never on traffic, so one cache serves every
 * re-merge of a checkpoint. Safe for use by several threads.
 */
public interface AlignmentCache {

  /** Two experts of a block, the second aligned to the first. */
  record Pair(String block, int reference, int member) {}

  Optional<int[]> find(Pair pair);

  void keep(Pair pair, int[] permutation);

  /**
   * A cache beside a checkpoint, in {@code .smelt/alignments} of its folder, that lives as long as
   * the checkpoint stays the same.
   */
  static AlignmentCache beside(Checkpoint checkpoint) {
    String digest = checkpoint.digest();
    return new AlignmentFolder(
        checkpoint
            .directory()
            .resolve(".smelt")
            .resolve("alignments")
            .resolve(digest.substring(digest.indexOf(':') + 1)));
  }

  /** A cache that lives as long as the process. */
  static AlignmentCache inMemory() {
    Map<Pair, int[]> known = new ConcurrentHashMap<>();
    return new AlignmentCache() {
      @Override
      public Optional<int[]> find(Pair pair) {
        return Optional.ofNullable(known.get(pair)).map(int[]::clone);
      }

      @Override
      public void keep(Pair pair, int[] permutation) {
        known.put(pair, permutation.clone());
      }
    };
  }
}
