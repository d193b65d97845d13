package dev.smelt.streams.usage;

/**
 * What a usage record carries: statistics that were combined at the source, or every single choice.
 */
public sealed interface Decisions permits Combined, PackedIds {

  int experts();

  int topK();

  /** Requests whose first token is among these decisions. */
  long requests();

  /** True if nothing was decided: the record is a heartbeat. */
  boolean isEmpty();

  /** True if the layer has the shape of these sums. */
  default boolean fits(Accumulator sums) {
    return sums.experts() == experts() && sums.topK() == topK();
  }

  /**
   * Adds the decisions to what is there already.
   *
   * @throws InvalidDecisionException if an id is out of range or twice in a row
   * @throws IllegalArgumentException if the shapes differ
   */
  void addTo(Accumulator sums);

  /**
   * The statistics of these decisions alone.
   *
   * @throws InvalidDecisionException if an id is out of range or twice in a row
   */
  default Usage usage() {
    Accumulator sums = Usage.accumulator(experts(), topK());
    addTo(sums);
    return sums.build();
  }
}
