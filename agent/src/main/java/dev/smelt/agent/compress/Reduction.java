package dev.smelt.agent.compress;

import dev.smelt.agent.merge.MergedExpert;

/** What is done to merged experts before they are stored. */
public sealed interface Reduction
    permits Factoring, Narrowing, Refitting, WhitenedFactoring, Whole {

  /** Looks at all groups first, where it must, and says how each is stored. */
  Writer prepare(MergedGroups groups);

  /** How often all groups are gone through: to look at them first, and to store them. */
  default int passes() {
    return 2;
  }

  /** Stores one merged expert after the other. */
  interface Writer {
    void write(CompactTensors tensors, int group, MergedExpert merged);
  }
}
