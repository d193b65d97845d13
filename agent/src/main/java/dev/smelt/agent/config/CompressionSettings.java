package dev.smelt.agent.config;

import java.util.List;
import java.util.stream.Stream;

/**
 * What to make of the experts.
 *
 * @param strategy {@code m-smoe} by default
 * @param alternatives further strategies that each re-merge tries; of those that pass the gate, the
 *     one with the fewest bits per byte serves; none by default, since each costs a merge and a
 *     score
 * @param averageGroups how many merged experts a layer keeps on average; absent (the default) means
 *     three quarters of the experts
 * @param similarity which similarity forms the groups; {@code co-activation} by default, since
 *     engines return no router logits
 * @param align what members are aligned to; {@code dominant} by default
 * @param reuseWithin a re-merge keeps the expert of a group with the same members if the weights in
 *     it have moved by no more than this: half the sum of the differences of the members' shares;
 *     0.02 by default, about the sampling error of shares in the traffic of a profile; 0 keeps only
 *     what would come out the same
 */
public record CompressionSettings(
    String strategy,
    List<String> alternatives,
    Double averageGroups,
    String similarity,
    String align,
    Double reuseWithin) {

  static final CompressionSettings DEFAULT =
      new CompressionSettings(null, null, null, null, null, null);

  public CompressionSettings {
    strategy = Settings.orElse(strategy, "m-smoe");
    alternatives = List.copyOf(Settings.orElse(alternatives, List.of()));
    similarity = Settings.orElse(similarity, "co-activation");
    align = Settings.orElse(align, "dominant");
    reuseWithin = Settings.share("reuseWithin", Settings.orElse(reuseWithin, 0.02));
    if (averageGroups != null) {
      Settings.require(averageGroups >= 1, "averageGroups", "use 1 or more");
    }
  }

  /** Every strategy that a re-merge tries, the preferred one first. */
  public List<String> strategies() {
    return Stream.concat(Stream.of(strategy), alternatives.stream()).distinct().toList();
  }
}
