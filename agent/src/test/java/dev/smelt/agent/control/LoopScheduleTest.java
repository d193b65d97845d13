package dev.smelt.agent.control;

import static org.assertj.core.api.Assertions.assertThat;

import dev.smelt.agent.config.CanarySettings;
import dev.smelt.agent.config.PolicySettings;
import dev.smelt.agent.config.PolicySettings.Mode;
import dev.smelt.agent.config.ScheduleSettings;
import dev.smelt.agent.inference.TinyCheckpoint;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.snapshot.SnapshotStore;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threeten.extra.MutableClock;

/** A re-merge at three every night, in a time that the test keeps. */
class LoopScheduleTest {

  private static final String MODEL = "tiny";

  @TempDir Path folder;

  private final MutableClock clock =
      MutableClock.of(Instant.parse("2026-01-01T12:00:00Z"), ZoneOffset.UTC);
  private final ScriptedTraffic traffic = new ScriptedTraffic(MODEL);
  private Checkpoint checkpoint;
  private SnapshotStore store;
  private ModelLoop loop;

  @BeforeEach
  void open() throws IOException {
    checkpoint = Checkpoint.open(new TinyCheckpoint(1).write(folder.resolve(MODEL)));
    store = SnapshotStore.open(folder.resolve("store"), clock);
    loop = loop(Mode.AUTO);
  }

  @AfterEach
  void close() throws IOException {
    loop.close();
    store.close();
    checkpoint.close();
  }

  @Test
  void shouldMergeAtTheScheduledTime() {
    serveAFirstSnapshot();
    clock.setInstant(Instant.parse("2026-01-02T02:59:59Z"));
    loop.step();
    assertThat(scheduled()).isEmpty();

    clock.setInstant(Instant.parse("2026-01-02T03:00:00Z"));
    loop.step();
    loop.step();

    assertThat(scheduled()).containsExactly("re-merges: scheduled for 2026-01-02T03:00 UTC");
    assertThat(newest()).isEqualTo("schedule");
  }

  @Test
  void shouldMergeOnceForAllTimesMissedWhileDownAndSaySo() throws IOException {
    serveAFirstSnapshot();
    loop.close();
    clock.setInstant(Instant.parse("2026-01-09T12:00:00Z"));

    loop = loop(Mode.AUTO);
    loop.step();
    clock.setInstant(Instant.parse("2026-01-09T18:00:00Z"));
    loop.step();

    assertThat(scheduled())
        .containsExactly(
            "re-merges: scheduled for 2026-01-09T03:00 UTC, once for this and 7 missed before");
  }

  @Test
  void shouldSayOnceInObserveWhatTheScheduleWouldHaveDone() throws IOException {
    serveAFirstSnapshot();
    loop.close();
    loop = loop(Mode.OBSERVE);
    loop.step();
    clock.setInstant(Instant.parse("2026-01-02T04:00:00Z"));

    loop.step();
    loop.step();

    assertThat(scheduled()).containsExactly("would re-merge: scheduled for 2026-01-02T03:00 UTC");
    assertThat(loop.status().decision()).doesNotContain("scheduled");
  }

  private void serveAFirstSnapshot() {
    traffic.show(1);
    loop.step();
    assertThat(loop.servedSnapshot()).isNotEmpty();
    traffic.show(2);
  }

  private List<String> scheduled() {
    return loop.journal(1_000).stream()
        .filter(entry -> entry.kind() == Journal.Kind.DECISION)
        .map(Journal.Entry::message)
        .filter(message -> message.contains("scheduled"))
        .toList();
  }

  private String newest() {
    return store.manifest(MODEL, loop.servedSnapshot()).trigger();
  }

  private ModelLoop loop(Mode mode) {
    return new LoopBuilder(traffic, checkpoint, store, folder)
        .policy(
            new PolicySettings(
                mode, 2, null, 100L, null, null, new ScheduleSettings("0 3 * * *", null)))
        .canary(new CanarySettings(Duration.ZERO, null, null, null, null, null))
        .clock(clock)
        .build();
  }
}
