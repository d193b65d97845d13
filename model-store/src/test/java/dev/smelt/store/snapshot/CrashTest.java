package dev.smelt.store.snapshot;

import static dev.smelt.store.snapshot.Snapshots.BECAUSE;
import static dev.smelt.store.snapshot.Snapshots.MODEL;
import static dev.smelt.store.snapshot.Snapshots.publish;
import static dev.smelt.store.snapshot.Snapshots.tensor;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.smelt.store.snapshot.Scenario.State;
import dev.smelt.store.snapshot.Verification.OnDamage;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.threeten.extra.MutableClock;

class CrashTest {

  @TempDir static Path shared;
  private static Path template;

  @TempDir Path folder;

  @BeforeAll
  static void prepare() {
    template = shared.resolve("template");
    Scenario.prepare(template);
  }

  private static SnapshotStore open(Path root, FileOperations operations) {
    return SnapshotStore.open(root, Clock.systemUTC(), ManifestKeys.NONE, operations);
  }

  private static State stateOf(Path root) {
    return Scenario.state(Scenario.open(root));
  }

  private Path prepared(int number) {
    Path root = folder.resolve("store-" + number);
    Scenario.copy(template, root);
    return root;
  }

  private int steps(Scenario scenario) {
    FailingFiles counting = FailingFiles.counting();
    scenario.run(open(prepared(0), counting));
    return counting.steps();
  }

  @ParameterizedTest
  @EnumSource
  void shouldHoldTheOldOrTheNewStateAfterDyingAtAnyStep(Scenario scenario) {
    int steps = steps(scenario);
    assertThat(steps).isPositive();
    for (int step = 1; step <= steps; step++) {
      Path root = prepared(step);
      State before = stateOf(root);
      SnapshotStore dying = open(root, FailingFiles.dyingAt(step));
      assertThatThrownBy(() -> scenario.run(dying)).isInstanceOf(FailingFiles.Death.class);
      scenario.check(root, before);
    }
  }

  @ParameterizedTest
  @EnumSource
  void shouldHoldTheOldOrTheNewStateWhenTheDiskIsFullAtAnyStep(Scenario scenario) {
    failAtEveryStep(scenario, "No space left on device");
  }

  @ParameterizedTest
  @EnumSource(names = {"PUBLISH", "ACTIVATE"})
  void shouldHoldTheOldOrTheNewStateWhenTheDiskBecomesReadOnlyAtAnyStep(Scenario scenario) {
    failAtEveryStep(scenario, "Read-only file system");
  }

  private void failAtEveryStep(Scenario scenario, String reason) {
    int steps = steps(scenario);
    for (int step = 1; step <= steps; step++) {
      Path root = prepared(step);
      State before = stateOf(root);
      FailingFiles failing =
          new FailingFiles(
              step,
              () -> {
                throw new FileSystemException("disk", null, reason);
              });
      try {
        scenario.run(open(root, failing));
      } catch (StoreException.Failed e) {
        assertThat(e).hasMessageContaining(reason).hasMessageContaining("nothing was changed");
      } catch (StoreException.UnknownOutcome e) {
        assertThat(e).hasMessageContaining("could not make it durable");
      }
      scenario.check(root, before);
    }
  }

  @Test
  void shouldSayWhatToDoWhenTheDiskIsFull() {
    FailingFiles full =
        new FailingFiles(
            1,
            () -> {
              throw new FileSystemException("disk", null, "No space left on device");
            });
    SnapshotStore store = open(prepared(1), full);
    assertThatThrownBy(() -> publish(store, tensor("a", 1)))
        .isInstanceOf(StoreException.Failed.class)
        .hasMessageContaining("free some space or run `smelt store gc`");
  }

  @Test
  void shouldReportAnUnknownOutcomeWhenAMoveCannotBeMadeDurable() {
    Path root = prepared(1);
    SnapshotStore whole = SnapshotStore.open(root, Clock.systemUTC());
    String first = whole.snapshots(MODEL).get(0).id();
    FileOperations noFolderSync =
        new FileOperations() {
          @Override
          public void syncFolder(Path synced) throws IOException {
            throw new IOException("I/O error");
          }
        };
    RefUpdate update = open(root, noFolderSync).activate(MODEL, first, BECAUSE);
    assertThat(update).isInstanceOf(RefUpdate.Unknown.class);
    assertThat(whole.ref(MODEL, Ref.ACTIVE).map(Ref::snapshot)).contains(first);
    assertThat(whole.log(MODEL)).hasSize(4);
  }

  @Test
  void shouldLetOneOfTwoWritersWinAndTellTheOther() throws Exception {
    Path root = prepared(1);
    SnapshotStore first = SnapshotStore.open(root, Clock.systemUTC());
    SnapshotStore second = SnapshotStore.open(root, Clock.systemUTC());
    List<String> ids = first.snapshots(MODEL).stream().map(Manifest::id).toList();
    ExecutorService threads = Executors.newFixedThreadPool(2);
    try {
      for (int round = 0; round < 50; round++) {
        Optional<String> expected = first.ref(MODEL, Ref.ACTIVE).map(Ref::snapshot);
        List<Callable<RefUpdate>> writers =
            List.of(
                () -> first.moveRef(MODEL, Ref.ACTIVE, expected, ids.get(0), BECAUSE),
                () -> second.moveRef(MODEL, Ref.ACTIVE, expected, ids.get(1), BECAUSE));
        List<RefUpdate> updates = new ArrayList<>();
        for (Future<RefUpdate> update : threads.invokeAll(writers)) {
          updates.add(update.get());
        }
        assertThat(updates).filteredOn(RefUpdate.Moved.class::isInstance).isNotEmpty();
        // Both may win only where the first winner's target is what the other expected.
        if (updates.stream().allMatch(RefUpdate.Moved.class::isInstance)) {
          assertThat(ids.subList(0, 2)).contains(expected.orElseThrow());
        }
      }
    } finally {
      threads.shutdown();
    }
    List<LogEntry> log = first.log(MODEL);
    for (int i = 1; i < log.size(); i++) {
      assertThat(log.get(i).from()).isEqualTo(log.get(i - 1).to());
    }
  }

  @Test
  void shouldCollectOnlyWhatNoSnapshotNamesAndIsOldEnough() throws IOException {
    MutableClock clock = MutableClock.of(Instant.parse("2026-03-01T12:00:00Z"), ZoneOffset.UTC);
    SnapshotStore store = SnapshotStore.open(folder, clock);
    Manifest kept = publish(store, tensor("a", 1));
    try (Publication abandoned = store.begin(MODEL)) {
      abandoned.add(tensor("b", 2));
    }
    assertThat(store.collect(Duration.ofHours(1))).isEqualTo(new Collection(0, 0, 1, 0));
    clock.add(Duration.ofHours(2));
    try (Publication young = store.begin(MODEL)) {
      young.add(tensor("c", 3));
      assertThat(store.collect(Duration.ofHours(1))).isEqualTo(new Collection(1, 2, 1, 0));
      young.commit(ManifestDraft.of("test", "test", "m-smoe", "sha256:0"));
    }
    store.check(kept);
    assertThat(store.verify(OnDamage.REPORT).damages()).isEmpty();
  }

  @Test
  void shouldNotCollectWhatIsYoungWhenTheClockGoesBackwards() {
    MutableClock clock = MutableClock.of(Instant.parse("2026-03-01T12:00:00Z"), ZoneOffset.UTC);
    SnapshotStore store = SnapshotStore.open(folder, clock);
    try (Publication abandoned = store.begin(MODEL)) {
      abandoned.add(tensor("b", 2));
    }
    clock.add(Duration.ofDays(-400));
    assertThat(store.collect(Duration.ofHours(1)).deleted()).isZero();
  }

  @Test
  void shouldRefuseToCommitWhenABlobWasCollectedMeanwhile() {
    SnapshotStore store =
        SnapshotStore.open(
            folder, MutableClock.of(Instant.parse("2026-03-01T12:00:00Z"), ZoneOffset.UTC));
    try (Publication slow = store.begin(MODEL)) {
      slow.add(tensor("a", 1));
      store.collect(Duration.ZERO);
      assertThatThrownBy(() -> slow.commit(ManifestDraft.of("test", "test", "m-smoe", "sha256:0")))
          .isInstanceOf(StoreException.Rejected.class)
          .hasMessageContaining("a: its blob was collected before");
    }
    assertThat(store.snapshots(MODEL)).isEmpty();
  }

  @Test
  void shouldQuarantineABlobFlippedByOneBitAndRestoreItWhenItIsPublishedAgain() throws IOException {
    SnapshotStore store = SnapshotStore.open(folder, Clock.systemUTC());
    Manifest manifest = publish(store, tensor("a", 1), tensor("b", 2));
    String digest = manifest.tensors().get("b").digest();
    Path blob = store.blob(digest);
    byte[] bytes = Files.readAllBytes(blob);
    bytes[1] ^= 0x10;
    Files.write(blob, bytes);

    Verification found = store.verify(OnDamage.QUARANTINE);

    assertThat(found.damages())
        .containsExactly(
            new Verification.Damage(
                digest, "has other bytes", List.of(MODEL + "/" + manifest.id())));
    assertThat(store.holds(digest)).isFalse();
    assertThat(folder.resolve("quarantine").resolve(digest.substring(7))).exists();
    publish(store, tensor("b", 2));
    assertThat(store.verify(OnDamage.REPORT).damages()).isEmpty();
  }

  @Test
  void shouldDeleteNothingWhenAManifestIsDamaged() throws IOException {
    SnapshotStore store = SnapshotStore.open(folder, Clock.systemUTC());
    Manifest manifest = publish(store, tensor("a", 1));
    Path file =
        folder
            .resolve("models")
            .resolve(MODEL)
            .resolve("snapshots")
            .resolve(manifest.id() + ".json");
    Files.writeString(file, "{");
    assertThatThrownBy(() -> store.collect(Duration.ZERO))
        .isInstanceOf(StoreException.Damaged.class);
    assertThat(store.holds(manifest.tensors().get("a").digest())).isTrue();
  }

  @Test
  void shouldKeepWhatARefNamesFromRetention() {
    MutableClock clock = MutableClock.of(Instant.parse("2026-03-01T12:00:00Z"), ZoneOffset.UTC);
    SnapshotStore store = SnapshotStore.open(folder, clock);
    List<String> ids = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      ids.add(publish(store, tensor("a", i)).id());
    }
    store.activate(MODEL, ids.get(0), BECAUSE);
    store.activate(MODEL, ids.get(1), BECAUSE);
    store.pin(MODEL, ids.get(2), "keep", BECAUSE);
    clock.add(Duration.ofDays(1));

    assertThat(store.retain(MODEL, new Retention(1, Duration.ofHours(1)), BECAUSE))
        .containsExactly(ids.get(3), ids.get(4));
    assertThat(store.snapshots(MODEL))
        .extracting(Manifest::id)
        .containsExactly(ids.get(0), ids.get(1), ids.get(2), ids.get(5));
    assertThat(store.log(MODEL))
        .extracting(LogEntry::ref)
        .containsExactly(
            "active", "active", "keep", "snapshots/" + ids.get(3), "snapshots/" + ids.get(4));
    store.removeRef(MODEL, "keep", ids.get(2), BECAUSE);
    assertThat(store.retain(MODEL, new Retention(1, Duration.ofHours(1)), BECAUSE))
        .containsExactly(ids.get(2));
  }
}
