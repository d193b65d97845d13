package dev.smelt.store.snapshot;

import static dev.smelt.store.snapshot.Snapshots.BECAUSE;
import static dev.smelt.store.snapshot.Snapshots.MODEL;
import static dev.smelt.store.snapshot.Snapshots.publish;
import static dev.smelt.store.snapshot.Snapshots.tensor;
import static java.nio.file.StandardCopyOption.COPY_ATTRIBUTES;
import static org.assertj.core.api.Assertions.assertThat;

import dev.smelt.store.snapshot.Verification.OnDamage;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * A change that may be interrupted, on a store with two snapshots of which the second is active.
 */
enum Scenario {
  PUBLISH {
    @Override
    void run(SnapshotStore store) {
      publish(store, tensor("a", 1), tensor("b", 7, 8));
    }
  },
  ACTIVATE {
    @Override
    void run(SnapshotStore store) {
      store.activate(MODEL, store.snapshots(MODEL).get(0).id(), BECAUSE);
    }
  },
  ROLLBACK {
    @Override
    void run(SnapshotStore store) {
      store.rollback(MODEL, Optional.empty(), BECAUSE);
    }
  },
  COLLECT {
    @Override
    void run(SnapshotStore store) {
      store.collect(Duration.ZERO);
    }
  },
  RETAIN {
    @Override
    void run(SnapshotStore store) {
      store.retain(MODEL, new Retention(0, Duration.ZERO), BECAUSE);
    }
  };

  abstract void run(SnapshotStore store);

  /** What a reader sees: snapshots, where active and previous point, the log's length. */
  record State(
      List<String> snapshots, Optional<String> active, Optional<String> previous, int log) {}

  static SnapshotStore open(Path root) {
    return SnapshotStore.open(root, Clock.systemUTC(), ManifestKeys.NONE, FailingFiles.counting());
  }

  static void prepare(Path root) {
    try (SnapshotStore store = open(root)) {
      Manifest third = publish(store, tensor("a", 3));
      Manifest first = publish(store, tensor("a", 1), tensor("b", 2));
      Manifest second = publish(store, tensor("a", 1), tensor("b", 3));
      store.activate(MODEL, third.id(), BECAUSE);
      store.activate(MODEL, first.id(), BECAUSE);
      store.activate(MODEL, second.id(), BECAUSE);
      try (Publication abandoned = store.begin(MODEL)) {
        abandoned.add(tensor("c", 9));
      }
    }
  }

  /** Copies a prepared store. */
  static void copy(Path prepared, Path root) {
    try (Stream<Path> files = Files.walk(prepared)) {
      for (Path file : files.toList()) {
        Files.copy(file, root.resolve(prepared.relativize(file)), COPY_ATTRIBUTES);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static State state(SnapshotStore store) {
    return new State(
        store.snapshots(MODEL).stream().map(Manifest::id).toList(),
        store.ref(MODEL, Ref.ACTIVE).map(Ref::snapshot),
        store.ref(MODEL, Ref.PREVIOUS).map(Ref::snapshot),
        store.log(MODEL).size());
  }

  /** Either nothing happened or all of it, and whatever is there is whole. */
  void check(Path root, State before) {
    try (SnapshotStore store = open(root)) {
      State after = state(store);
      if (!after.equals(before)) {
        assertThat(after).isEqualTo(completed(before, after));
      }
      assertThat(store.verify(OnDamage.REPORT).damages()).isEmpty();
      List<LogEntry> log = store.log(MODEL);
      assertThat(log.get(log.size() - 1).to().or(() -> after.active())).isEqualTo(after.active());
      for (int i = 0; i < log.size(); i++) {
        assertThat(log.get(i).sequence()).isEqualTo(i + 1);
      }
      run(store);
      store.activate(MODEL, after.active().orElseThrow(), BECAUSE);
      assertThat(store.verify(OnDamage.REPORT).damages()).isEmpty();
    }
  }

  private State completed(State before, State after) {
    return switch (this) {
      case PUBLISH -> {
        assertThat(after.snapshots()).hasSize(4).containsAll(before.snapshots());
        yield new State(after.snapshots(), before.active(), before.previous(), before.log());
      }
      case ACTIVATE ->
          new State(
              before.snapshots(),
              Optional.of(before.snapshots().get(0)),
              before.active(),
              before.log() + 1);
      case ROLLBACK ->
          new State(before.snapshots(), before.previous(), before.active(), before.log() + 1);
      case COLLECT -> before;
      case RETAIN -> {
        assertThat(after.snapshots()).isSubsetOf(before.snapshots());
        assertThat(after.snapshots()).contains(before.active().orElseThrow());
        yield new State(after.snapshots(), before.active(), before.previous(), before.log() + 1);
      }
    };
  }
}
