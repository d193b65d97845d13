package dev.smelt.agent.control;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.smelt.agent.config.CanarySettings;
import dev.smelt.agent.config.PolicySettings.Mode;
import dev.smelt.agent.inference.TinyCheckpoint;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.Ref;
import dev.smelt.store.snapshot.SnapshotStore;
import dev.smelt.streams.profile.Baseline;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Kills a loop wherever it has just written its state, or is about to touch or has just touched the
 * engine: what is on disk then is what a crash leaves.
 */
class LoopCrashTest {

  private static final String MODEL = "tiny";
  private static final CanarySettings WATCHED =
      new CanarySettings(Duration.ofMinutes(5), null, null, null, null, null);

  private static final ModelControl.Request PERSON = new ModelControl.Request("ada", "because");

  @TempDir Path folder;

  private final Map<Path, String> crashes = new HashMap<>();
  private volatile ServingFigures serving = ServingFigures.NONE;
  private volatile ModelLoop running;
  private volatile boolean silent;

  @Test
  void shouldAgreeWithTheStoreAfterACrashAtAnyPoint() throws IOException {
    try (Checkpoint checkpoint =
        Checkpoint.open(new TinyCheckpoint(1).write(folder.resolve(MODEL)))) {
      live(checkpoint);

      assertThat(crashes.values())
          .contains(
              "Observing",
              "Planning",
              "Compressing",
              "Gating",
              "Publishing",
              "Activating",
              "Canary",
              "Degraded",
              "AwaitingApproval",
              "Paused",
              "RolledBack",
              "engine untouched",
              "engine touched");
      for (Map.Entry<Path, String> crash : crashes.entrySet()) {
        comeBack(checkpoint, crash.getKey(), crash.getValue());
      }
    }
  }

  /**
   * A merge that is rolled back, a second, an engine that does not answer, what a person may ask
   * for, and a proposal.
   */
  private void live(Checkpoint checkpoint) throws IOException {
    Path home = Files.createDirectories(folder.resolve("home"));
    ScriptedTraffic traffic = new ScriptedTraffic(MODEL);
    try (SnapshotStore store = store(home)) {
      adapt(checkpoint, store, traffic, home);
      propose(checkpoint, store, traffic, home);
    }
  }

  private Activator engine(Path home) {
    return snapshot -> {
      crash(home, "engine untouched");
      Activator.Result result =
          silent ? new Activator.Result.Unknown("no answer") : new Activator.Result.Served();
      crash(home, "engine touched");
      return result;
    };
  }

  private Runnable afterEachChange(Path home) {
    return () -> crash(home, running == null ? "start" : name(running.state()));
  }

  private void propose(
      Checkpoint checkpoint, SnapshotStore store, ScriptedTraffic traffic, Path home)
      throws IOException {
    running = null;
    try (ModelLoop loop =
        loop(Mode.APPROVE, checkpoint, store, traffic, home, engine(home), afterEachChange(home))) {
      running = loop;
      loop.start();
      await()
          .until(
              () ->
                  loop.status().served().isPresent()
                      && loop.state() instanceof LoopState.RolledBack);
      loop.resume(PERSON).toCompletableFuture().join();
      traffic.drift().add(ScriptedTraffic.breached(MODEL, active(store), soon(1)));
      traffic.drift().add(ScriptedTraffic.breached(MODEL, active(store), soon(11)));
      await().until(() -> loop.state() instanceof LoopState.AwaitingApproval);
    }
  }

  private static String active(SnapshotStore store) {
    return store.ref(MODEL, Ref.ACTIVE).orElseThrow().snapshot();
  }

  private static Instant soon(int seconds) {
    return Instant.now().plusSeconds(seconds);
  }

  private void adapt(Checkpoint checkpoint, SnapshotStore store, ScriptedTraffic traffic, Path home)
      throws IOException {
    try (ModelLoop loop =
        loop(Mode.AUTO, checkpoint, store, traffic, home, engine(home), afterEachChange(home))) {
      running = loop;
      loop.start();
      traffic.show(1);
      await().until(() -> loop.state() instanceof LoopState.Canary);
      String first = loop.servedSnapshot();
      serving = new ServingFigures(100, 90, Duration.ofSeconds(1));
      await().until(() -> loop.state() instanceof LoopState.Observing);
      assertThat(loop.servedSnapshot()).isEmpty();

      traffic.show(2);
      traffic.drift().add(ScriptedTraffic.breached(MODEL, active(store), soon(1)));
      traffic.drift().add(ScriptedTraffic.breached(MODEL, active(store), soon(11)));
      await().until(() -> loop.state() instanceof LoopState.Canary);
      assertThat(loop.servedSnapshot()).isNotEqualTo(first).isNotEmpty();

      loop.pause(PERSON).toCompletableFuture().join();
      loop.resume(PERSON).toCompletableFuture().join();
      loop.rollback(Optional.empty(), PERSON).toCompletableFuture().join();
      assertThat(loop.state()).isInstanceOf(LoopState.RolledBack.class);
      silent = true;
      loop.activate(first, PERSON).toCompletableFuture().join();
      assertThat(loop.state()).isInstanceOf(LoopState.Degraded.class);
    } finally {
      silent = false;
    }
  }

  private void comeBack(Checkpoint checkpoint, Path crash, String where) throws IOException {
    ScriptedTraffic traffic = new ScriptedTraffic(MODEL);
    List<String> engine = new ArrayList<>();
    serving = ServingFigures.NONE;
    try (SnapshotStore store = store(crash);
        ModelLoop loop =
            loop(
                Mode.AUTO,
                checkpoint,
                store,
                traffic,
                crash,
                snapshot -> {
                  engine.add(snapshot.id());
                  return new Activator.Result.Served();
                },
                () -> {})) {
      loop.start();
      await(where)
          .until(
              () ->
                  loop.status().served().isPresent()
                      && !(loop.state() instanceof LoopState.Activating));

      String active = store.ref(MODEL, Ref.ACTIVE).orElseThrow().snapshot();
      assertThat(engine).as(where).containsExactly(active);
      assertThat(loop.status().served()).as(where).contains(active);
      for (Manifest snapshot : store.snapshots(MODEL)) {
        store.check(snapshot);
      }
      assertThat(loop.state())
          .as(where)
          .isInstanceOfAny(
              LoopState.Observing.class,
              LoopState.Canary.class,
              LoopState.AwaitingApproval.class,
              LoopState.Paused.class,
              LoopState.RolledBack.class);
      if (loop.state() instanceof LoopState.Canary watching) {
        assertThat(watching.snapshot()).as(where).isEqualTo(active);
      }
      if (!loop.servedSnapshot().isEmpty()) {
        assertThat(traffic.baselines())
            .as(where)
            .isNotEmpty()
            .extracting(Baseline::snapshot)
            .containsOnly(active);
      }
    }
  }

  private static SnapshotStore store(Path home) {
    return SnapshotStore.open(home.resolve("store"), Clock.systemUTC());
  }

  private ModelLoop loop(
      Mode mode,
      Checkpoint checkpoint,
      SnapshotStore store,
      ScriptedTraffic traffic,
      Path home,
      Activator activator,
      Runnable changed) {
    return new LoopBuilder(traffic, checkpoint, store, home)
        .policy(LoopBuilder.policy(mode))
        .canary(WATCHED)
        .engine(activator)
        .figures(() -> serving)
        .changed(changed)
        .build();
  }

  private void crash(Path home, String where) {
    Path copy = folder.resolve("crash-" + crashes.size());
    try (Stream<Path> files = Files.walk(home)) {
      for (Path file : (Iterable<Path>) files::iterator) {
        Files.copy(file, copy.resolve(home.relativize(file).toString()));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    crashes.put(copy, where);
  }

  private static String name(LoopState state) {
    return Optional.of(state).map(now -> now.getClass().getSimpleName()).orElseThrow();
  }
}
