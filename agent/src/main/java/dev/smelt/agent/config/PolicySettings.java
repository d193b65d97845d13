package dev.smelt.agent.config;

import java.time.Duration;

/**
 * When to act.
 *
 * @param mode {@code observe} (default) says what it would do, {@code approve} waits for a person,
 *     {@code auto} acts
 * @param consecutiveWindows how many breached windows in a row are evidence enough; 3 by default,
 *     as in Cruise Control's and Flagger's practice of acting on repeated findings only
 * @param coolDown the shortest time between two re-merges; 10 min by default
 * @param minimumTokens the evidence that a profile must rest on, in decayed tokens; 20,000 by
 *     default
 * @param maximumPerDay how many re-merges may start in 24 hours; 24 by default
 * @param rememberedSnapshots how many of the newest snapshots are looked at for one that was made
 *     for traffic like that of now; 16 by default: a week's days and nights; 0 recalls none
 * @param every re-merge after this time even without drift; absent (the default) means never
 */
public record PolicySettings(
    Mode mode,
    Integer consecutiveWindows,
    Duration coolDown,
    Long minimumTokens,
    Integer maximumPerDay,
    Integer rememberedSnapshots,
    Duration every) {

  static final PolicySettings DEFAULT =
      new PolicySettings(null, null, null, null, null, null, null);

  /** How much the loop may do by itself. */
  public enum Mode {
    OBSERVE,
    APPROVE,
    AUTO
  }

  public PolicySettings {
    mode = Settings.orElse(mode, Mode.OBSERVE);
    consecutiveWindows = Settings.orElse(consecutiveWindows, 3);
    Settings.require(
        consecutiveWindows >= 1 && consecutiveWindows <= 1000,
        "consecutiveWindows",
        "use 1 to 1000");
    coolDown = Settings.notNegative("coolDown", Settings.orElse(coolDown, Duration.ofMinutes(10)));
    minimumTokens = Settings.orElse(minimumTokens, 20_000L);
    Settings.require(minimumTokens >= 1, "minimumTokens", "use 1 or more");
    maximumPerDay = Settings.orElse(maximumPerDay, 24);
    Settings.require(maximumPerDay >= 1, "maximumPerDay", "use 1 or more");
    rememberedSnapshots = Settings.orElse(rememberedSnapshots, 16);
    Settings.require(
        rememberedSnapshots >= 0 && rememberedSnapshots <= 1000,
        "rememberedSnapshots",
        "use 0 to 1000");
    if (every != null) {
      Settings.positive("every", every);
    }
  }
}
