package dev.smelt.store.snapshot;

import static dev.smelt.store.snapshot.Snapshots.BECAUSE;
import static dev.smelt.store.snapshot.Snapshots.MODEL;
import static dev.smelt.store.snapshot.Snapshots.publish;
import static dev.smelt.store.snapshot.Snapshots.tensor;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.smelt.store.safetensors.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threeten.extra.MutableClock;

class SnapshotStoreTest {

  @TempDir Path root;
  private final MutableClock clock =
      MutableClock.of(Instant.parse("2026-03-01T12:00:00Z"), ZoneOffset.UTC);
  private SnapshotStore store;

  @BeforeEach
  void open() {
    store = SnapshotStore.open(root, clock);
  }

  @Test
  void shouldReadBackWhatWasPublished() {
    Manifest published = publish(store, tensor("a", 1, 2), tensor("b", 3));

    Manifest read = store.manifest(MODEL, published.id());

    assertThat(read).isEqualTo(published);
    assertThat(read.tensors().keySet()).containsExactly("a", "b");
    assertThat(read.bytes()).isEqualTo(6);
    assertThat(read.id()).startsWith("20260301T120000Z-");
    assertThat(store.tensors(read).floats("a")).containsExactly(1, 2);
    assertThat(store.tensors(read).tensors().get("b").dtype()).isEqualTo(DType.BF16);
    assertThat(store.snapshots(MODEL)).containsExactly(published);
    assertThat(store.models()).containsExactly(MODEL);
  }

  @Test
  void shouldStoreUnchangedTensorsOnce() throws IOException {
    publish(store, tensor("a", 1, 2), tensor("b", 3));
    publish(store, tensor("a", 1, 2), tensor("b", 4));
    publish(store, tensor("same bytes, other name", 1, 2));

    assertThat(blobs()).hasSize(3);
  }

  private List<Path> blobs() throws IOException {
    try (Stream<Path> files = Files.walk(root.resolve("blobs"))) {
      return files.filter(Files::isRegularFile).toList();
    }
  }

  @Test
  void shouldReuseATensorOfAnotherSnapshotWithoutItsBytes() {
    Manifest first = publish(store, tensor("a", 1, 2));
    try (Publication publication = store.begin(MODEL)) {
      publication.reuse("a", first.tensors().get("a"));
      publication.add(tensor("b", 5));
      Manifest second =
          publication.commit(
              ManifestDraft.of("test", "by hand", "m-smoe", "sha256:0").withParent(first.id()));
      assertThat(second.parent()).contains(first.id());
      assertThat(store.tensors(second).floats("a")).containsExactly(1, 2);
    }
  }

  @Test
  void shouldShowNothingOfAnUncommittedPublication() {
    try (Publication publication = store.begin(MODEL)) {
      publication.add(tensor("a", 1));
    }
    assertThat(store.snapshots(MODEL)).isEmpty();
  }

  @Test
  void shouldMoveARefOnlyFromWhereTheCallerExpectsIt() {
    Manifest first = publish(store, tensor("a", 1));
    Manifest second = publish(store, tensor("a", 2));

    assertThat(store.moveRef(MODEL, "base", Optional.empty(), first.id(), BECAUSE))
        .isInstanceOf(RefUpdate.Moved.class);
    assertThat(store.moveRef(MODEL, "base", Optional.empty(), second.id(), BECAUSE))
        .isEqualTo(new RefUpdate.Conflict(Optional.of(first.id())));
    assertThat(store.ref(MODEL, "base").map(Ref::snapshot)).contains(first.id());
    assertThat(store.moveRef(MODEL, "base", Optional.of(first.id()), second.id(), BECAUSE))
        .isInstanceOf(RefUpdate.Moved.class);
    assertThat(store.ref(MODEL, "base").map(Ref::snapshot)).contains(second.id());
  }

  @Test
  void shouldRollBackToWhatWasActiveBefore() {
    Manifest first = publish(store, tensor("a", 1));
    Manifest second = publish(store, tensor("a", 2));
    store.activate(MODEL, first.id(), BECAUSE);
    store.activate(MODEL, second.id(), BECAUSE);
    assertThat(store.ref(MODEL, "previous").map(Ref::snapshot)).contains(first.id());

    store.rollback(MODEL, Optional.empty(), new Reason("operator", "worse"));

    assertThat(store.ref(MODEL, "active").map(Ref::snapshot)).contains(first.id());
    assertThat(store.ref(MODEL, "previous").map(Ref::snapshot)).contains(second.id());
    assertThat(store.log(MODEL)).extracting(LogEntry::sequence).containsExactly(1L, 2L, 3L);
    LogEntry last = store.log(MODEL).get(2);
    assertThat(last.from()).contains(second.id());
    assertThat(last.to()).contains(first.id());
    assertThat(last.reason()).isEqualTo(new Reason("operator", "worse"));
  }

  @Test
  void shouldKeepPreviousWhenTheActiveSnapshotIsActivatedAgain() {
    Manifest first = publish(store, tensor("a", 1));
    Manifest second = publish(store, tensor("a", 2));
    store.activate(MODEL, first.id(), BECAUSE);
    store.activate(MODEL, second.id(), BECAUSE);
    store.activate(MODEL, second.id(), BECAUSE);
    assertThat(store.ref(MODEL, "previous").map(Ref::snapshot)).contains(first.id());
  }

  @Test
  void shouldRefuseToRollBackWithoutAPreviousSnapshot() {
    Manifest first = publish(store, tensor("a", 1));
    store.activate(MODEL, first.id(), BECAUSE);
    assertThatThrownBy(() -> store.rollback(MODEL, Optional.empty(), BECAUSE))
        .isInstanceOf(StoreException.Rejected.class)
        .hasMessageContaining("no previous snapshot");
  }

  @Test
  void shouldDoTheSameChangeUnderTheSameKeyOnce() {
    Manifest first = publish(store, tensor("a", 1));
    Manifest second = publish(store, tensor("a", 2));
    store.activate(MODEL, first.id(), BECAUSE);
    store.activate(MODEL, second.id(), BECAUSE);
    Reason keyed = new Reason("operator", "worse", Optional.of("k1"));

    RefUpdate once = store.rollback(MODEL, Optional.empty(), keyed);
    RefUpdate again = store.rollback(MODEL, Optional.empty(), keyed);

    assertThat(again).isEqualTo(once);
    assertThat(store.ref(MODEL, "active").map(Ref::snapshot)).contains(first.id());
    assertThatThrownBy(() -> store.activate(MODEL, second.id(), keyed))
        .isInstanceOf(StoreException.Rejected.class)
        .hasMessageContaining("idempotency key");
  }

  @Test
  void shouldRefuseToMoveARefToASnapshotThatIsNotThere() {
    publish(store, tensor("a", 1));
    assertThatThrownBy(() -> store.activate(MODEL, "20260101T000000Z-0123456789abcdef", BECAUSE))
        .isInstanceOf(StoreException.NotFound.class)
        .hasMessageContaining("has no snapshot 20260101T000000Z-0123456789abcdef");
  }

  @Test
  void shouldTellListenersOfMoves() {
    Manifest first = publish(store, tensor("a", 1));
    var heard = new java.util.ArrayList<SnapshotStore.RefMoved>();
    store.onMove(heard::add);
    store.activate(MODEL, first.id(), BECAUSE);
    assertThat(heard).hasSize(1);
    assertThat(heard.get(0).entry().to()).contains(first.id());
  }

  @Test
  void shouldKeepTheOrderWhenTheClockGoesBackwards() {
    Manifest first = publish(store, tensor("a", 1));
    store.activate(MODEL, first.id(), BECAUSE);
    clock.add(Duration.ofHours(-3));
    Manifest second = publish(store, tensor("a", 2));
    store.activate(MODEL, second.id(), BECAUSE);

    assertThat(second.createdAt()).isAfter(first.createdAt());
    assertThat(store.snapshots(MODEL)).containsExactly(first, second);
    assertThat(store.log(MODEL)).extracting(LogEntry::sequence).containsExactly(1L, 2L);
    assertThat(store.log(MODEL).get(1).at()).isAfterOrEqualTo(store.log(MODEL).get(0).at());
  }

  @Test
  void shouldRefuseAChangedManifest() throws IOException {
    Manifest manifest = publish(store, tensor("a", 1));
    Path file =
        root.resolve("models").resolve(MODEL).resolve("snapshots").resolve(manifest.id() + ".json");
    Files.writeString(file, Files.readString(file).replace("by hand", "by Hand"));
    assertThatThrownBy(() -> store.manifest(MODEL, manifest.id()))
        .isInstanceOf(StoreException.Damaged.class)
        .hasMessageContaining(manifest.id() + ".json: does not have the digest");
  }

  @Test
  void shouldNoticeABlobFlippedByOneBit() throws IOException {
    Manifest manifest = publish(store, tensor("a", 1));
    Path blob = store.blob(manifest.tensors().get("a").digest());
    byte[] bytes = Files.readAllBytes(blob);
    bytes[0] ^= 1;
    Files.write(blob, bytes);
    assertThatThrownBy(() -> store.check(manifest))
        .isInstanceOf(StoreException.Damaged.class)
        .hasMessageContaining("of a is missing or damaged");

    publish(store, tensor("a", 1));
    store.check(manifest);
  }
}
