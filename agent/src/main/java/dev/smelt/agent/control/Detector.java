package dev.smelt.agent.control;

import dev.smelt.agent.config.PolicySettings;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.snapshot.SnapshotStore;
import dev.smelt.streams.drift.ModelDrift;
import dev.smelt.streams.profile.Profile;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Reads from the traffic of one model what the policy goes by: how far it is from what the active
 * snapshot was made for, since when, and what was seen since then.
 */
final class Detector {

  private final List<MoeBlock> blocks;
  private final Traffic traffic;
  private final PolicySettings settings;
  private final LoopRecord record;
  private final Serving serving;
  private final MomentsSupply moments;
  private final ShapeMemory memory;
  private final Schedule schedule;
  private final Clock clock;
  private Map<String, Profile> beforeBreach = Map.of();
  private boolean breaching;

  /**
   * @param blocks the MoE blocks of the model
   * @param moments told when the traffic begins to change
   * @param store where earlier snapshots are looked for
   * @param gate says what they would lose
   */
  Detector(
      List<MoeBlock> blocks,
      Traffic traffic,
      MomentsSupply moments,
      SnapshotStore store,
      Gate gate,
      PolicySettings settings,
      LoopRecord record,
      Serving serving,
      Clock clock) {
    this.blocks = blocks;
    this.traffic = traffic;
    this.moments = moments;
    this.settings = settings;
    this.record = record;
    this.serving = serving;
    this.memory = new ShapeMemory(store, gate, settings.rememberedSnapshots());
    this.schedule = new Schedule(settings.schedule());
    this.clock = clock;
  }

  /**
   * The profile of every block.
   *
   * @throws IllegalStateException while the stream is starting, or a block has seen no traffic
   */
  Map<String, Profile> profiles() {
    Map<String, Profile> profiles = traffic.profiles();
    for (MoeBlock block : blocks) {
      if (!profiles.containsKey(block.name())) {
        throw new IllegalStateException(
            "no traffic of " + block.name() + " was seen yet; send some through the proxy");
      }
    }
    return profiles;
  }

  /** The profiles of the blocks that have one; none while the stream is starting. */
  Map<String, Profile> profilesIfKnown() {
    try {
      return traffic.profiles();
    } catch (IllegalStateException starting) {
      return Map.of();
    }
  }

  /**
   * What the traffic is at this moment.
   *
   * @throws IllegalStateException while the stream is starting
   */
  Seen look() {
    Map<String, Profile> profiles = traffic.profiles();
    boolean breached = breachedWindows() > 0;
    if (!breached) {
      beforeBreach = profiles;
    } else if (!breaching) {
      moments.turn();
    }
    breaching = breached;
    return seen(profiles);
  }

  /**
   * Traffic at one moment.
   *
   * @param profiles of each block
   * @param recent the same of the traffic since the windows in a row began that are over the
   *     threshold
   */
  record Seen(Map<String, Profile> profiles, Map<String, Profile> recent) {}

  /** Sets apart the recent part of profiles. */
  Seen seen(Map<String, Profile> profiles) {
    Map<String, Profile> recent = new HashMap<>();
    profiles.forEach(
        (block, profile) -> {
          Profile before = beforeBreach.get(block);
          Profile since = before == null ? profile : profile.since(before, traffic.halfLife());
          recent.put(block, since.tokens() > 0 ? since : profile);
        });
    return new Seen(profiles, recent);
  }

  Evidence evidence(Seen seen) {
    Instant now = clock.instant();
    int breached = breachedWindows();
    boolean drifted = breached >= settings.consecutiveWindows();
    return new Evidence(
        now,
        tokens(seen.profiles()),
        serving.compressed(),
        serving.turnedDown().isPresent(),
        newestDrift(),
        breached,
        drifted && fading(seen),
        drifted ? earlier(seen) : Optional.empty(),
        record.content().lastRemerge(),
        record.content().lastRecall(),
        record.content().remergesSince(now.minus(Policy.DAY)),
        record.content().inVain(),
        schedule.due(scheduleDoneUntil(now), now));
  }

  /** A schedule that is new begins now. */
  private Instant scheduleDoneUntil(Instant now) {
    Instant until = record.content().scheduled();
    if (until == null && schedule.set()) {
      record.save(record.content().withScheduleDone(now));
    }
    return until == null ? now : until;
  }

  /**
   * What a re-merge is made from.
   *
   * @param profiles of each block
   * @param sinceShift whether they are of the traffic since it began to change alone
   */
  record Basis(Map<String, Profile> profiles, boolean sinceShift) {}

  /**
   * What a re-merge after drift is made from: after a sudden shift the profile still mixes old and
   * new traffic, and the traffic since the shift is the better guide if there is enough of it.
   */
  Basis sinceShift(Seen seen) {
    Shape profile = Shape.of(seen.profiles());
    Shape reference = Shape.of(serving.reference());
    boolean sudden =
        reference.covers(profile)
            && Shape.of(seen.recent()).distance(profile) > profile.distance(reference);
    return sudden && tokens(seen.recent()) >= settings.minimumTokens()
        ? new Basis(seen.recent(), true)
        : new Basis(seen.profiles(), false);
  }

  /** The earlier snapshot that suits the recent traffic better than the active one. */
  Optional<Evidence.Earlier> earlier(Seen seen) {
    return serving
        .active()
        .flatMap(
            now ->
                memory.better(
                    now,
                    Shape.of(serving.reference()),
                    Shape.of(seen.recent()),
                    asOf(seen.recent()),
                    Set.copyOf(record.content().withdrawn())));
  }

  Optional<Evidence.Drift> newestDrift() {
    return serving
        .active()
        .flatMap(now -> traffic.drift().newest(now.id(), measuredSince()))
        .map(Detector::drift);
  }

  int breachedWindows() {
    return serving
        .active()
        .map(now -> traffic.drift().breachedWindows(now.id(), measuredSince()))
        .orElse(0);
  }

  /** The newest drift records, oldest first. */
  List<DriftPoint> drift(int most) {
    return traffic.drift().points(most);
  }

  /** The fewest decayed tokens of any block. */
  double tokens(Map<String, Profile> profiles) {
    return blocks.stream()
        .mapToDouble(
            block ->
                Optional.ofNullable(profiles.get(block.name())).map(Profile::tokens).orElse(0.0))
        .min()
        .orElse(0);
  }

  /** The traffic of each block that has seen some, beside what drift is measured from. */
  List<BlockTraffic> traffic() {
    Map<String, Profile> profiles = profilesIfKnown();
    Shape reference = Shape.of(serving.reference());
    List<BlockTraffic> seen = new ArrayList<>();
    for (MoeBlock block : blocks) {
      Profile profile = profiles.get(block.name());
      if (profile != null) {
        seen.add(
            new BlockTraffic(
                block.name(),
                profile.topK(),
                profile.tokens(),
                profile.requests(),
                list(profile.frequency()),
                Optional.ofNullable(reference.frequency().get(block.name()))
                    .map(Detector::list)
                    .orElse(List.of())));
      }
    }
    return seen;
  }

  private boolean fading(Seen seen) {
    Shape profile = Shape.of(seen.profiles());
    Shape reference = Shape.of(serving.reference());
    return reference.covers(profile)
        && Shape.of(seen.recent()).distance(reference) < profile.distance(reference);
  }

  private Instant measuredSince() {
    return serving.turnedDown().map(StateFile.TurnedDown::at).orElse(Instant.MIN);
  }

  private static Instant asOf(Map<String, Profile> profiles) {
    return profiles.values().stream()
        .map(Profile::asOf)
        .max(Instant::compareTo)
        .orElse(Instant.MIN);
  }

  private static Evidence.Drift drift(ModelDrift drift) {
    return new Evidence.Drift(drift.value(), drift.threshold());
  }

  private static List<Double> list(double[] values) {
    return Arrays.stream(values).boxed().toList();
  }
}
