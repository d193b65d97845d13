package dev.smelt.agent.compress;

/** Merged experts are stored as they are. */
public record Whole() implements Reduction {

  @Override
  public Writer prepare(MergedGroups groups) {
    return block -> CompactTensors::whole;
  }

  @Override
  public int passes() {
    return 1;
  }
}
