package dev.smelt.agent.control;

import dev.smelt.agent.inference.TinyCheckpoint;
import dev.smelt.streams.drift.ModelDrift;
import dev.smelt.streams.profile.Baseline;
import dev.smelt.streams.profile.Profile;
import dev.smelt.streams.usage.Accumulator;
import dev.smelt.streams.usage.LayerKey;
import dev.smelt.streams.usage.Usage;
import dev.smelt.streams.usage.UsageWindow;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.jspecify.annotations.Nullable;

/** Traffic as a test says. */
final class ScriptedTraffic implements Traffic {

  /** So short that a window is forgotten when the next closes. */
  private static final Duration HALF_LIFE = Duration.ofMillis(100);

  private final String model;
  private final DriftHistory drift = new DriftHistory();
  private volatile @Nullable RuntimeException brokerAway;
  private int windows;
  private volatile Map<String, Profile> profiles = Map.of();
  private volatile List<Baseline> baselines = new ArrayList<>();

  ScriptedTraffic(String model) {
    this.model = model;
  }

  /** From now on baselines are refused. */
  void brokerAway(RuntimeException failure) {
    brokerAway = failure;
  }

  void brokerBack() {
    brokerAway = null;
  }

  List<Baseline> baselines() {
    return baselines;
  }

  /** Closes a window of random traffic that prefers some experts, another few for each seed. */
  void show(int seed) {
    Map<String, Profile> next = new HashMap<>();
    for (int layer = 0; layer < TinyCheckpoint.LAYERS; layer++) {
      Random random = new Random(seed * 31L + layer);
      Accumulator usage = Usage.accumulator(TinyCheckpoint.EXPERTS, 2);
      for (int token = 0; token < 500; token++) {
        int first = (int) (Math.abs(random.nextGaussian()) * 1.5 + seed) % TinyCheckpoint.EXPERTS;
        int second = (first + 1 + random.nextInt(2)) % TinyCheckpoint.EXPERTS;
        usage.add(new int[] {first, second}, 1);
      }
      usage.addRequests(50);
      String block = TinyCheckpoint.block(layer);
      UsageWindow window =
          new UsageWindow(
              new LayerKey(model, block),
              Instant.EPOCH.plusSeconds(10L * windows),
              Instant.EPOCH.plusSeconds(10L * (windows + 1)),
              usage.build(),
              1,
              0,
              0,
              0);
      Profile before = profiles.get(block);
      next.put(block, before == null ? Profile.of(window) : before.plus(window, HALF_LIFE));
    }
    windows++;
    profiles = next;
  }

  @Override
  public Map<String, Profile> profiles() {
    return profiles;
  }

  @Override
  public Duration halfLife() {
    return HALF_LIFE;
  }

  @Override
  public DriftHistory drift() {
    return drift;
  }

  @Override
  public void rebase(List<Baseline> next) {
    RuntimeException failure = brokerAway;
    if (failure != null) {
      throw failure;
    }
    baselines = next;
  }

  /** A window over the threshold, measured from a snapshot's baseline. */
  static ModelDrift breached(String model, String snapshot, Instant start) {
    return new ModelDrift(
        model,
        snapshot,
        start,
        start.plusSeconds(10),
        TinyCheckpoint.block(0),
        0.5,
        0.1,
        0.5,
        1_000,
        50,
        50,
        2,
        2,
        List.of(TinyCheckpoint.block(0)),
        true);
  }
}
