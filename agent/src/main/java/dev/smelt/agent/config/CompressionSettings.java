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
 * @param averageGroups how many merged experts a layer keeps on average, or the share of memory
 *     that this is of all of them; absent (the default) means three quarters of the experts
 * @param memory shares of the full model's expert memory, 0 to 1, instead of {@code averageGroups}:
 *     every re-merge tries each of them with each strategy, and of the candidates that pass the
 *     gate those of the smallest share go first; none by default
 * @param minimumMoments of how many tokens the second moments must be, at least, before {@code
 *     smelt} is tried; 4,000 by default, from which on more hardly helped on the fixture. Where
 *     they are fewer, the journal says so and {@code m-smoe} is tried if no other strategy is set
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
    List<Double> memory,
    Integer minimumMoments,
    String similarity,
    String align,
    Double reuseWithin) {

  static final CompressionSettings DEFAULT =
      new CompressionSettings(null, null, null, null, null, null, null, null);

  public CompressionSettings {
    strategy = Settings.orElse(strategy, "m-smoe");
    alternatives = List.copyOf(Settings.orElse(alternatives, List.of()));
    similarity = Settings.orElse(similarity, "co-activation");
    align = Settings.orElse(align, "dominant");
    reuseWithin = Settings.share("reuseWithin", Settings.orElse(reuseWithin, 0.02));
    memory = List.copyOf(Settings.orElse(memory, List.of()));
    minimumMoments = Settings.orElse(minimumMoments, 4_000);
    Settings.require(minimumMoments >= 1, "minimumMoments", "use 1 or more");
    Settings.require(
        memory.stream().allMatch(share -> share > 0 && share <= 1),
        "memory",
        "use shares over 0 and up to 1");
    if (averageGroups != null) {
      Settings.require(averageGroups >= 1, "averageGroups", "use 1 or more");
      Settings.require(
          memory.isEmpty(), "memory", "leave it out or leave out averageGroups: they say the same");
    }
  }

  /** Every strategy that a re-merge tries, the preferred one first. */
  public List<String> strategies() {
    return Stream.concat(Stream.of(strategy), alternatives.stream()).distinct().toList();
  }
}
