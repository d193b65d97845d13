package dev.smelt.agent.config;

/**
 * What to make of the experts.
 *
 * @param strategy {@code m-smoe} by default
 * @param averageGroups how many merged experts a layer keeps on average; absent (the default) means
 *     three quarters of the experts
 * @param similarity which similarity forms the groups; {@code co-activation} by default, since
 *     engines return no router logits
 * @param align what members are aligned to; {@code dominant} by default
 */
public record CompressionSettings(
    String strategy, Double averageGroups, String similarity, String align) {

  static final CompressionSettings DEFAULT = new CompressionSettings(null, null, null, null);

  public CompressionSettings {
    strategy = Settings.orElse(strategy, "m-smoe");
    similarity = Settings.orElse(similarity, "co-activation");
    align = Settings.orElse(align, "dominant");
    if (averageGroups != null) {
      Settings.require(averageGroups >= 1, "averageGroups", "use 1 or more");
    }
  }
}
