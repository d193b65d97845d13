package dev.smelt.agent.simulation;

import dev.smelt.agent.control.DriftHistory;
import dev.smelt.agent.control.Traffic;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.streams.drift.DriftSettings;
import dev.smelt.streams.drift.LayerEvidence;
import dev.smelt.streams.drift.ModelVerdict;
import dev.smelt.streams.drift.Reference;
import dev.smelt.streams.profile.Baseline;
import dev.smelt.streams.profile.Profile;
import dev.smelt.streams.usage.LayerKey;
import dev.smelt.streams.usage.Usage;
import dev.smelt.streams.usage.UsageWindow;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The stream without Kafka: the same profiles, references, evidence and verdicts as the topology
 * makes, called one after the other.
 */
final class SimulatedStream implements Traffic {

  private final String model;
  private final List<MoeBlock> blocks;
  private final Duration halfLife;
  private final Optional<DriftSettings> judged;
  private final Map<String, Reference> references = new HashMap<>();
  private final Map<String, Baseline> baselines = new HashMap<>();
  private volatile Map<String, Profile> profiles = Map.of();
  private DriftHistory drift = new DriftHistory();
  private boolean away;

  /**
   * @param judged how drift is judged; empty for one that nobody asks for drift
   */
  SimulatedStream(
      String model, List<MoeBlock> blocks, Duration halfLife, Optional<DriftSettings> judged) {
    this.model = model;
    this.blocks = blocks;
    this.halfLife = halfLife;
    this.judged = judged;
  }

  /** Whether the broker is away from now on. */
  void away(boolean now) {
    away = now;
  }

  /** What an agent that starts knows of past drift: nothing. */
  void forgetDrift() {
    drift = new DriftHistory();
  }

  /** Closes a window; what comes while the broker is away is lost. */
  void close(Instant start, Instant end, List<Usage> layers) {
    if (away || layers.get(0).tokens() == 0) {
      return;
    }
    Map<String, Profile> next = new HashMap<>();
    List<UsageWindow> closed = new ArrayList<>();
    for (int layer = 0; layer < blocks.size(); layer++) {
      String block = blocks.get(layer).name();
      UsageWindow window =
          new UsageWindow(new LayerKey(model, block), start, end, layers.get(layer), 1, 0, 0, 0);
      Profile before = profiles.get(block);
      next.put(block, before == null ? Profile.of(window) : before.plus(window, halfLife));
      closed.add(window);
    }
    profiles = next;
    judged.ifPresent(settings -> judge(closed, settings));
  }

  private void judge(List<UsageWindow> windows, DriftSettings settings) {
    List<LayerEvidence> evidence = new ArrayList<>();
    for (UsageWindow window : windows) {
      String block = window.key().layer();
      Usage usage = window.usage();
      Profile profile = profiles.get(block);
      Reference reference =
          references
              .getOrDefault(block, Reference.empty(usage.experts()))
              .observe(
                  usage.frequency(),
                  Profile.independentRequests(usage),
                  profile.frequency(),
                  settings);
      references.put(block, reference);
      evidence.add(
          LayerEvidence.of(
              window, profile, reference, Optional.ofNullable(baselines.get(block)), settings));
    }
    drift.add(ModelVerdict.of(evidence, settings).model());
  }

  @Override
  public Map<String, Profile> profiles() {
    return profiles;
  }

  @Override
  public Duration halfLife() {
    return halfLife;
  }

  @Override
  public DriftHistory drift() {
    return drift;
  }

  @Override
  public void rebase(List<Baseline> snapshot) {
    if (away) {
      throw new IllegalStateException("the baseline of " + model + " was not taken: broker away");
    }
    snapshot.forEach(baseline -> baselines.put(baseline.key().layer(), baseline));
  }
}
