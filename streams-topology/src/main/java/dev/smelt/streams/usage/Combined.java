package dev.smelt.streams.usage;

/** Decisions that were combined at the source. */
public record Combined(Usage usage) implements Decisions {

  @Override
  public int experts() {
    return usage.experts();
  }

  @Override
  public int topK() {
    return usage.topK();
  }

  @Override
  public long requests() {
    return usage.requests();
  }

  @Override
  public boolean isEmpty() {
    return usage.tokens() == 0 && usage.requests() == 0;
  }

  @Override
  public void addTo(Accumulator sums) {
    sums.add(usage);
  }
}
