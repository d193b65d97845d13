package dev.smelt.agent.simulation;

import dev.smelt.agent.config.ModelSettings;
import dev.smelt.agent.config.PolicySettings;
import dev.smelt.agent.config.PolicySettings.Mode;
import dev.smelt.agent.control.Fence;
import dev.smelt.agent.control.Journal;
import dev.smelt.agent.control.LoopState;
import dev.smelt.agent.control.ModelControl.Outcome;
import dev.smelt.agent.control.ModelControl.Request;
import dev.smelt.agent.control.ModelLoop;
import dev.smelt.agent.control.Trigger;
import dev.smelt.agent.simulation.Outages.Part;
import dev.smelt.agent.simulation.Simulation.Window;
import dev.smelt.agent.statistics.LiveMoments;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.snapshot.Reason;
import dev.smelt.store.snapshot.Retention;
import dev.smelt.store.snapshot.SnapshotStore;
import dev.smelt.streams.drift.DriftSettings;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;
import org.threeten.extra.MutableClock;

/** An agent that lives through the windows of a simulation in one way. */
final class SimulatedAgent implements AutoCloseable {

  private static final Retention KEPT = new Retention(32, Duration.ZERO);
  private static final Reason SPACE = new Reason("simulation", "old snapshots make room");
  private static final Request CLOCK = new Request("simulation", "the interval is over");

  private final Way way;
  private final ModelSettings settings;
  private final Checkpoint checkpoint;
  private final Path home;
  private final Requests requests;
  private final Outages outages;
  private final MutableClock clock;
  private final SnapshotStore store;
  private final SimulatedStream stream;
  private final SimulatedEngine engine;
  private final List<Integer> served = new ArrayList<>();
  private @Nullable ModelLoop loop;
  private LoopState last;
  private Instant due;
  private boolean storeAway;
  private boolean turnedDown;
  private int remerges;
  private int skipped;
  private int recalls;
  private int rollbacks;

  /**
   * @param begin of the simulation
   * @param leadInOver when a way that merges once does so
   */
  SimulatedAgent(
      Way way,
      ModelSettings settings,
      Checkpoint checkpoint,
      Path home,
      Duration halfLife,
      Requests requests,
      Losses losses,
      Outages outages,
      Instant begin,
      Instant leadInOver) {
    this.way = way;
    this.checkpoint = checkpoint;
    this.home = home;
    this.requests = requests;
    this.outages = outages;
    this.due = way.once() ? leadInOver : begin;
    this.clock = MutableClock.of(begin, ZoneOffset.UTC);
    this.store = SnapshotStore.open(home.resolve("store"), clock);
    this.engine = new SimulatedEngine(snapshot -> losses.number(snapshot, store::tensors));
    this.stream =
        new SimulatedStream(
            settings.name(),
            checkpoint.blocks(),
            way.memory().orElse(halfLife),
            way.every().isPresent() ? Optional.empty() : Optional.of(DriftSettings.DEFAULT));
    this.settings = way.every().isPresent() ? observing(settings, way) : settings;
    this.last = new LoopState.Observing(begin);
  }

  private static ModelSettings observing(ModelSettings auto, Way way) {
    PolicySettings policy = auto.policy();
    return new ModelSettings(
        auto.name(),
        auto.checkpoint(),
        auto.engine(),
        auto.proxy(),
        auto.compression(),
        new PolicySettings(
            Mode.OBSERVE,
            policy.consecutiveWindows(),
            policy.coolDown(),
            policy.minimumTokens(),
            policy.maximumPerDay(),
            policy.rememberedSnapshots(),
            policy.schedule()),
        way.judged() ? auto.gate() : null,
        auto.canary());
  }

  /** Lives until the end of a window. */
  void live(Window window) throws IOException {
    clock.setInstant(window.end());
    apply(window.start());
    int answered = 0;
    for (int count : window.counts()) {
      answered += count;
    }
    engine.answer(answered);
    if (loop != null) {
      stream.close(
          window.start(),
          window.end(),
          requests.usage(window.counts(), new SplittableRandom(window.draw())));
      loop.step();
      if (way.every().isPresent() && !window.end().isBefore(due)) {
        remergeByTheClock(loop);
      }
    }
    served.add(engine.serving().orElse(Losses.NOTHING));
  }

  private void apply(Instant now) throws IOException {
    stream.away(outages.away(Part.KAFKA, now));
    engine.away(outages.away(Part.ENGINE, now));
    boolean nowAway = outages.away(Part.STORE, now);
    if (nowAway != storeAway) {
      storeAway = nowAway;
      moveBlobs();
    }
    boolean down = outages.away(Part.AGENT, now);
    if (down && loop != null) {
      loop.close();
      loop = null;
    } else if (!down && loop == null) {
      stream.forgetDrift();
      loop = start();
    }
  }

  /** Where the blobs were stands a file, so that none can be read or written. */
  private void moveBlobs() throws IOException {
    Path blobs = home.resolve("store").resolve("blobs");
    Path elsewhere = home.resolve("blobs-away");
    if (storeAway) {
      Files.move(blobs, elsewhere);
      Files.createFile(blobs);
    } else {
      Files.delete(blobs);
      Files.move(elsewhere, blobs);
    }
  }

  private ModelLoop start() throws IOException {
    return new ModelLoop(
        settings,
        checkpoint,
        store,
        stream,
        LiveMoments.open(
            home.resolve("moments"),
            settings.name(),
            checkpoint.blocks(),
            stream.halfLife(),
            clock),
        engine,
        engine::figures,
        Fence.OPEN,
        home.resolve("loop"),
        clock,
        this::changed,
        this::told);
  }

  private void remergeByTheClock(ModelLoop running) {
    turnedDown = false;
    Outcome outcome = running.remerge(CLOCK).toCompletableFuture().join();
    boolean judged = outcome instanceof Outcome.Done || turnedDown;
    if (judged && !storeAway) {
      due = due.plus(way.every().orElseThrow());
    }
  }

  /** Counts what begins. */
  private void changed() {
    LoopState now = loop == null ? last : loop.state();
    if (now.equals(last)) {
      return;
    }
    if (now instanceof LoopState.Compressing) {
      remerges++;
    } else if (now instanceof LoopState.Observing && last instanceof LoopState.Planning) {
      skipped++;
    } else if (now instanceof LoopState.Gating gating && gating.trigger() == Trigger.RECALL) {
      recalls++;
    }
    last = now;
  }

  private void told(Journal.Entry entry) {
    turnedDown |= entry.kind() == Journal.Kind.GATE && entry.message().startsWith("refused");
    if (entry.kind() == Journal.Kind.CANARY && entry.message().startsWith("worse")) {
      rollbacks++;
    }
  }

  /** Forgets old snapshots, so that a year fits on the disk. */
  void makeRoom() {
    if (!storeAway) {
      store.retain(settings.name(), KEPT, SPACE);
      store.collect(Duration.ZERO);
    }
  }

  Run run() {
    return new Run(way.name(), List.copyOf(served), remerges, skipped, recalls, rollbacks);
  }

  @Override
  public void close() throws IOException {
    if (loop != null) {
      loop.close();
    }
    store.close();
  }
}
