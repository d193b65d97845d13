package dev.smelt.streams.usage;

import java.util.Random;

/** Valid decisions for tests. */
public final class RandomDecisions {

  private RandomDecisions() {}

  /** Rows of distinct experts, row-major [rows, topK]. */
  public static int[] ids(Random random, int experts, int topK, int rows) {
    int[] ids = new int[rows * topK];
    int[] order = new int[experts];
    for (int expert = 0; expert < experts; expert++) {
      order[expert] = expert;
    }
    for (int row = 0; row < rows; row++) {
      for (int slot = 0; slot < topK; slot++) {
        int other = slot + random.nextInt(experts - slot);
        int chosen = order[other];
        order[other] = order[slot];
        order[slot] = chosen;
        ids[row * topK + slot] = chosen;
      }
    }
    return ids;
  }
}
