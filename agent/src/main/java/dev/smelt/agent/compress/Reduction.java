package dev.smelt.agent.compress;

import dev.smelt.agent.merge.MergedExpert;
import dev.smelt.store.checkpoint.MoeBlock;

/** What is done to merged experts before they are stored. */
public sealed interface Reduction
    permits Factoring, Narrowing, Refitting, WhitenedFactoring, Whole {

  /** Looks at all groups first, where it must, and says how each is stored. */
  Writer prepare(MergedGroups groups);

  /** How often all groups are gone through: to look at them first, and to store them. */
  default int passes() {
    return 2;
  }

  /** How the experts of each block are stored. */
  interface Writer {
    GroupWriter of(MoeBlock block);
  }

  /** Stores the experts of one block, several of them at once. */
  interface GroupWriter {
    void write(CompactTensors tensors, MergedExpert merged);
  }
}
