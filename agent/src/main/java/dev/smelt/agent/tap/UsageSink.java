package dev.smelt.agent.tap;

import dev.smelt.streams.usage.UsageRecord;

/** Where combined decisions go. */
@FunctionalInterface
public interface UsageSink {

  /** Takes a record; may drop it, but neither blocks for long nor throws. */
  void accept(UsageRecord record);
}
