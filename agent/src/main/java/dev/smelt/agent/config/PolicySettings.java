package dev.smelt.agent.config;

import java.time.Duration;

/**
 * When to act.
 *
 * @param mode {@code observe} (default) says what it would do, {@code approve} waits for a person,
 *     {@code auto} acts; observing comes first as in Cruise Control, whose self-healing is off
 *     until it is switched on
 * @param consecutiveWindows how many breached windows in a row are evidence enough; 3 by default,
 *     the failed measurements that the example in Argo Rollouts' manual allows before it acts
 *     (failureLimit 3); Flagger's examples take 5. One calm window begins the count anew
 * @param coolDown the shortest time between two re-merges; 10 min by default, two half-lives of the
 *     default profile, after which three quarters of it are traffic from after the re-merge; also
 *     XX * @param minimumTokens the evidence that a profile must rest on, in decayed tokens; 20,000
 *     by default: a share of 1/64 is then known to within 6 % of itself (one standard error of
 *     independent tokens). Cruise Control likewise acts only on enough valid windows
 * @param maximumPerDay how many re-merges may start in 24 hours; 24 by default: one an hour is more
 *     than daily and weekly patterns need (agent/SIMULATION.md), and bounds the harm of a loop that
 *     is wrong
 * @param rememberedSnapshots how many of the newest snapshots are looked at for one that was made
 *     for traffic like that of now; 16 by default: a week's days and nights; 0 recalls none
 * @param schedule when to re-merge even without drift
 */
public record PolicySettings(
    Mode mode,
    Integer consecutiveWindows,
    Duration coolDown,
    Long minimumTokens,
    Integer maximumPerDay,
    Integer rememberedSnapshots,
    ScheduleSettings schedule) {

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
    schedule = Settings.orElse(schedule, ScheduleSettings.NEVER);
  }
}
