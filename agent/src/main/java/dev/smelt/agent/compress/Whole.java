package dev.smelt.agent.compress;

/** Merged experts are stored as they are. */
public record Whole() implements Reduction {

  @Override
  public Writer prepare(MergedGroups groups) {
    return (tensors, group, merged) -> tensors.whole(group, merged);
  }

  @Override
  public int passes() {
    return 1;
  }
}
