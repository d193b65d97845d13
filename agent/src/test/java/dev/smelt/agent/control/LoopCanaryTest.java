package dev.smelt.agent.control;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.smelt.agent.inference.TinyCheckpoint;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.SnapshotStore;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.threeten.extra.MutableClock;

/**
 * The loop looks four times a second; here each look is one step, in a time that the test keeps.
 */
@Timeout(60)
class LoopCanaryTest {

  private static final String MODEL = "tiny";

  @TempDir Path folder;

  private final MutableClock clock =
      MutableClock.of(Instant.parse("2026-01-01T12:00:00Z"), ZoneOffset.UTC);
  private final ScriptedTraffic traffic = new ScriptedTraffic(MODEL);
  private final List<String> swaps = new ArrayList<>();
  private boolean startedAnew;
  private ServingFigures serving = figures(1_000, 0, 2_000, -0.5);
  private Checkpoint checkpoint;
  private SnapshotStore store;
  private ModelLoop loop;

  @BeforeEach
  void open() throws IOException {
    checkpoint = Checkpoint.open(new TinyCheckpoint(1).write(folder.resolve(MODEL)));
    store = SnapshotStore.open(folder.resolve("store"), clock);
    loop = loop(MODEL, traffic, new Engine());
    loop.step();
    serving = figures(2_000, 0, 4_000, -0.5);
  }

  @AfterEach
  void close() throws IOException {
    loop.close();
    store.close();
    checkpoint.close();
  }

  @Test
  void shouldBeBackAtTheFirstLookAfterRequestsFail() {
    watch();
    serving = figures(2_100, 50, 4_000, -0.5);

    loop.step();

    assertBackOnTheFullModel("50 of 100 requests failed");
  }

  @Test
  void shouldBeBackAtTheFirstLookAfterAPostedNumberGotWorse() {
    loop.signal(new Signal("quality", 0.9, Signal.Better.HIGHER));
    clock.setInstant(Instant.parse("2026-01-01T12:00:01Z"));
    watch();
    clock.setInstant(Instant.parse("2026-01-01T12:00:10Z"));
    loop.signal(new Signal("quality", 0.5, Signal.Better.HIGHER));

    loop.step();

    assertBackOnTheFullModel("quality is 0.5000, 0.9000 before");
  }

  @Test
  void shouldBeBackWhenTokensGotLessLikely() {
    watch();
    serving = figures(2_100, 0, 6_000, -1.0);
    clock.setInstant(Instant.parse("2026-01-01T12:02:00Z"));

    loop.step();

    assertBackOnTheFullModel("a token has a log-probability of");
  }

  @Test
  void shouldNotTryAgainBeforeTheTrafficHasMoved() {
    watch();
    serving = figures(2_100, 50, 4_000, -0.5);
    loop.step();

    clock.setInstant(Instant.parse("2026-01-02T12:00:00Z"));
    loop.step();
    loop.step();

    assertThat(loop.state()).isInstanceOf(LoopState.Observing.class);
    assertThat(store.snapshots(MODEL)).hasSize(2);
  }

  @Test
  void shouldSwapAgainWhenTheEngineWasStartedAnew() {
    watch();
    startedAnew = true;

    loop.step();

    assertThat(swaps).hasSize(3);
    assertThat(swaps.get(2)).isEqualTo(swaps.get(1));
    assertThat(loop.state()).isInstanceOf(LoopState.Canary.class);
    loop.step();
    assertThat(swaps).hasSize(3);
  }

  /** Takes every snapshot. */
  private final class Engine implements Activator {

    @Override
    public Result activate(Manifest snapshot) {
      swaps.add(snapshot.id());
      return new Result.Served();
    }

    @Override
    public boolean disturbed() {
      boolean now = startedAnew;
      startedAnew = false;
      return now;
    }
  }

  @Test
  void shouldMergeForOneModelWhileAnEngineOfAnotherHangs() throws Exception {
    CountDownLatch hangs = new CountDownLatch(1);
    CountDownLatch goesOn = new CountDownLatch(1);
    ScriptedTraffic other = new ScriptedTraffic("other");
    other.show(1);
    try (ModelLoop stuck =
        loop(
            "stuck",
            new ScriptedTraffic("stuck"),
            snapshot -> {
              hangs.countDown();
              awaitQuietly(goesOn);
              return new Activator.Result.Served();
            })) {
      try (ModelLoop free = loop("other", other, snapshot -> new Activator.Result.Served())) {
        stuck.start();
        hangs.await();
        free.start();

        await().until(() -> !free.servedSnapshot().isEmpty());
        assertThat(stuck.status().served()).isEmpty();
      } finally {
        goesOn.countDown();
      }
    }
  }

  private void watch() {
    traffic.show(1);
    loop.step();
    assertThat(loop.state()).isInstanceOf(LoopState.Canary.class);
    assertThat(loop.servedSnapshot()).isNotEmpty();
  }

  private void assertBackOnTheFullModel(String reason) {
    assertThat(loop.servedSnapshot()).isEmpty();
    assertThat(swaps).hasSize(3);
    assertThat(swaps.get(2)).isEqualTo(swaps.get(0));
    assertThat(loop.journal(100))
        .filteredOn(entry -> entry.kind() == Journal.Kind.CANARY)
        .extracting(Journal.Entry::message)
        .anyMatch(message -> message.startsWith("worse: " + reason));
  }

  private static ServingFigures figures(
      long requests, long failures, long scoredTokens, double meanLogProbability) {
    return new ServingFigures(
        requests,
        failures,
        Duration.ofMillis(50 * requests),
        scoredTokens,
        scoredTokens * meanLogProbability);
  }

  private static void awaitQuietly(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private ModelLoop loop(String model, Traffic of, Activator activator) {
    return new LoopBuilder(of, checkpoint, store, folder)
        .model(model)
        .engine(activator)
        .figures(() -> serving)
        .clock(model.equals(MODEL) ? clock : Clock.systemUTC())
        .build();
  }
}
