package dev.smelt.agent.control;

import dev.smelt.agent.config.CanarySettings;
import dev.smelt.agent.config.CompressionSettings;
import dev.smelt.agent.config.EngineSettings;
import dev.smelt.agent.config.EngineSettings.Dialect;
import dev.smelt.agent.config.GateSettings;
import dev.smelt.agent.config.ModelSettings;
import dev.smelt.agent.config.PolicySettings;
import dev.smelt.agent.config.PolicySettings.Mode;
import dev.smelt.agent.statistics.LiveMoments;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.snapshot.SnapshotStore;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A loop over a small checkpoint: it halves the experts as soon as two windows breach, its engine
 * takes every snapshot, and nothing disturbs what serves, unless a test says otherwise.
 */
final class LoopBuilder {

  private final Traffic traffic;
  private final Checkpoint checkpoint;
  private final SnapshotStore store;
  private final Path folder;
  private String model = "tiny";
  private PolicySettings policy = policy(Mode.AUTO);
  private CompressionSettings compression =
      new CompressionSettings(null, null, 4.0, null, null, null, null, null);
  private @Nullable GateSettings gate;
  private CanarySettings canary = new CanarySettings(null, null, null, null, null, null);
  private @Nullable LiveMoments moments;
  private Activator activator = snapshot -> new Activator.Result.Served();
  private Supplier<ServingFigures> figures = () -> ServingFigures.NONE;
  private Clock clock = Clock.systemUTC();
  private Runnable changed = () -> {};

  /**
   * @param folder gets the loop's state and its moments
   */
  LoopBuilder(Traffic traffic, Checkpoint checkpoint, SnapshotStore store, Path folder) {
    this.traffic = traffic;
    this.checkpoint = checkpoint;
    this.store = store;
    this.folder = folder;
  }

  /** Two breached windows are enough, re-merges need not wait for each other. */
  static PolicySettings policy(Mode mode) {
    return new PolicySettings(mode, 2, Duration.ZERO, 100L, null, null, null);
  }

  LoopBuilder model(String name) {
    model = name;
    return this;
  }

  LoopBuilder policy(PolicySettings settings) {
    policy = settings;
    return this;
  }

  LoopBuilder compression(CompressionSettings settings) {
    compression = settings;
    return this;
  }

  LoopBuilder gate(GateSettings settings) {
    gate = settings;
    return this;
  }

  LoopBuilder canary(CanarySettings settings) {
    canary = settings;
    return this;
  }

  LoopBuilder moments(LiveMoments live) {
    moments = live;
    return this;
  }

  LoopBuilder engine(Activator engine) {
    activator = engine;
    return this;
  }

  LoopBuilder figures(Supplier<ServingFigures> serving) {
    figures = serving;
    return this;
  }

  LoopBuilder clock(Clock time) {
    clock = time;
    return this;
  }

  LoopBuilder changed(Runnable afterEachChange) {
    changed = afterEachChange;
    return this;
  }

  ModelLoop build() {
    ModelSettings settings =
        new ModelSettings(
            model,
            checkpoint.directory(),
            new EngineSettings(List.of(URI.create("http://engine:1")), Dialect.SGLANG, null, null),
            null,
            compression,
            policy,
            gate,
            canary);
    try {
      return new ModelLoop(
          settings,
          checkpoint,
          store,
          traffic,
          moments == null ? noMoments() : moments,
          activator,
          figures,
          Fence.OPEN,
          folder.resolve("loop-" + model),
          clock,
          changed,
          entry -> {});
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private LiveMoments noMoments() throws IOException {
    return LiveMoments.open(
        folder.resolve("moments-" + model), model, checkpoint.blocks(), traffic.halfLife(), clock);
  }
}
