package dev.smelt.store.snapshot;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;

/**
 * A versioned store of compressed experts under one folder. Any number of processes may use it at
 * once; readers take no locks and see whole snapshots only. Safe for use by several threads.
 *
 * <p>The layout on disk is described in {@code model-store/FORMAT.md}.
 */
public final class SnapshotStore implements AutoCloseable {

  private final StoreFiles files;
  private final StoreLock lock;
  private final Blobs blobs;
  private final Manifests manifests;
  private final Refs refs;
  private final Clock clock;
  private final List<Consumer<RefMoved>> listeners = new CopyOnWriteArrayList<>();

  /** A move that this instance made. */
  public record RefMoved(String model, LogEntry entry) {}

  private SnapshotStore(Path root, Clock clock, ManifestKeys keys, FileOperations operations) {
    this.files = new StoreFiles(root.toAbsolutePath().normalize(), operations);
    this.lock = new StoreLock(files);
    this.blobs = new Blobs(files, clock);
    this.manifests = new Manifests(files, clock, keys);
    this.refs = new Refs(files, clock);
    this.clock = clock;
  }

  /** Opens a store; the folder is created with the first change. */
  public static SnapshotStore open(Path root, Clock clock) {
    return open(root, clock, ManifestKeys.NONE);
  }

  /** Opens a store that signs or checks manifests. */
  public static SnapshotStore open(Path root, Clock clock, ManifestKeys keys) {
    return open(root, clock, keys, FileOperations.PLAIN);
  }

  static SnapshotStore open(Path root, Clock clock, ManifestKeys keys, FileOperations operations) {
    return new SnapshotStore(root, clock, keys, operations);
  }

  private interface Reading<T> {
    T run() throws IOException;
  }

  private static <T> T read(String thing, Reading<T> reading) {
    try {
      return reading.run();
    } catch (IOException e) {
      throw Failures.of(thing, e);
    }
  }

  /** The folder that holds everything. */
  public Path root() {
    return files.root();
  }

  /** Names of all models that have a snapshot or a ref. */
  public List<String> models() {
    return read("models", manifests::models);
  }

  /** Starts a snapshot of a model. */
  public Publication begin(String model) {
    return new Publication(model, manifests, blobs, files, lock);
  }

  /** Receives a blob that a later publication will reuse. */
  public BlobWriter receive() {
    return read("blob", () -> BlobWriter.fresh(files, blobs));
  }

  /**
   * One snapshot.
   *
   * @throws StoreException.NotFound if there is none of that id
   * @throws StoreException.Damaged if its manifest was changed, or is not signed as configured
   */
  public Manifest manifest(String model, String id) {
    return read("snapshot " + id, () -> manifests.read(model, id));
  }

  /** All snapshots of a model, oldest first; empty for an unknown model. */
  public List<Manifest> snapshots(String model) {
    return read("snapshots of " + model, () -> manifests.all(model));
  }

  /**
   * Hashes every blob of a snapshot.
   *
   * @throws StoreException.Damaged on the first that is missing or was changed
   */
  public void check(Manifest manifest) {
    Set<String> seen = new HashSet<>();
    manifest
        .tensors()
        .forEach(
            (name, tensor) -> {
              if (seen.add(tensor.digest()) && !blobs.intact(tensor.digest())) {
                throw new StoreException.Damaged(
                    "blob "
                        + tensor.digest()
                        + " of "
                        + name
                        + " is missing or damaged; run `smelt store verify`");
              }
            });
  }

  /**
   * A manifest as it is stored, for another store to adopt.
   *
   * @throws StoreException.NotFound if there is none of that id
   */
  public SignedManifest signedManifest(String model, String id) {
    return read("snapshot " + id, () -> manifests.signed(model, id));
  }

  /**
   * Takes over a snapshot of another store; its blobs must have been received before.
   *
   * @throws StoreException.Rejected if the bytes are not the manifest of that id, or a blob is
   *     missing
   * @throws StoreException.Damaged if it is not signed as configured
   */
  public Manifest adopt(String model, String id, SignedManifest signed) {
    return read(
        "snapshot " + id,
        () -> {
          blobs.sync();
          return lock.exclusively(() -> manifests.adopt(model, id, signed, blobs::present));
        });
  }

  /**
   * Receives a blob whose digest is known, going on where an earlier transfer broke off: {@link
   * BlobWriter#length} says how much is there. Closing keeps what was received.
   */
  public BlobWriter resume(String digest) {
    return read("blob " + digest, () -> BlobWriter.resuming(files, blobs, digest));
  }

  /** The tensors of a snapshot. */
  public SnapshotTensors tensors(Manifest manifest) {
    return new SnapshotTensors(files, "snapshot " + manifest.id(), manifest.tensors());
  }

  /**
   * The file that holds a blob's bytes. It must not be changed.
   *
   * @throws StoreException.NotFound if it is not in the store
   */
  public Path blob(String digest) {
    if (!blobs.present(digest)) {
      throw new StoreException.NotFound("blob " + digest + " is not in the store");
    }
    return files.blob(digest);
  }

  /** Whether a blob is in the store. */
  public boolean holds(String digest) {
    return blobs.present(digest);
  }

  /** Hashes a blob: whether it is in the store and has the digest of its name. */
  public boolean intact(String digest) {
    return blobs.intact(digest);
  }

  /** What differs between two snapshots of a model. */
  public SnapshotDiff diff(String model, String from, String to) {
    Differ differ = new Differ((manifest, map) -> tensors(manifest).ints(map));
    return differ.compare(manifest(model, from), manifest(model, to));
  }

  /** Where a ref points; {@code previous} is what {@code active} pointed to before. */
  public Optional<Ref> ref(String model, String name) {
    return read("ref " + name, () -> refs.find(model, name));
  }

  /** All refs of a model by name. */
  public List<Ref> refs(String model) {
    return read("refs of " + model, () -> refs.all(model));
  }

  /** All moves of a model's refs, oldest first. */
  public List<LogEntry> log(String model) {
    return read("log of " + model, () -> refs.log(model));
  }

  /**
   * Moves a ref if it points where the caller expects.
   *
   * @param expected where it points now; empty if it must not exist
   * @throws StoreException.NotFound if the target is no snapshot of the model
   * @throws StoreException.Damaged if the target's manifest is damaged
   * @throws StoreException.Failed if the disk refuses; the ref is as it was
   */
  public RefUpdate moveRef(
      String model, String name, Optional<String> expected, String target, Reason reason) {
    return change(model, name, () -> expected, () -> Optional.of(target), reason);
  }

  /** Removes a ref if it points where the caller expects; {@code active} cannot be removed. */
  public RefUpdate removeRef(String model, String name, String expected, Reason reason) {
    if (name.equals(Ref.ACTIVE)) {
      throw new StoreException.Rejected(
          "the ref active cannot be removed; activate another snapshot");
    }
    return change(model, name, () -> Optional.of(expected), Optional::empty, reason);
  }

  /** Points {@code active} to a snapshot, wherever it points now. */
  public RefUpdate activate(String model, String id, Reason reason) {
    return change(
        model, Ref.ACTIVE, () -> target(model, Ref.ACTIVE), () -> Optional.of(id), reason);
  }

  /**
   * Points {@code active} to an earlier snapshot.
   *
   * @param to which; empty for the one that was active before
   * @throws StoreException.Rejected if there was none before
   */
  public RefUpdate rollback(String model, Optional<String> to, Reason reason) {
    return change(
        model,
        Ref.ACTIVE,
        () -> target(model, Ref.ACTIVE),
        () ->
            Optional.of(
                to.or(() -> targetOf(model, reason))
                    .or(() -> target(model, Ref.PREVIOUS))
                    .orElseThrow(
                        () ->
                            new StoreException.Rejected(
                                "model " + model + " has no previous snapshot to roll back to"))),
        reason);
  }

  /** Where the change led that was made under the same key. */
  private Optional<String> targetOf(String model, Reason reason) {
    return read("log of " + model, () -> refs.repeated(model, reason)).flatMap(LogEntry::to);
  }

  /** Keeps a snapshot from retention under a name of its own, wherever that name pointed before. */
  public RefUpdate pin(String model, String id, String name, Reason reason) {
    if (name.equals(Ref.ACTIVE)) {
      throw new StoreException.Rejected("a pin cannot be named active");
    }
    return change(model, name, () -> target(model, name), () -> Optional.of(id), reason);
  }

  private Optional<String> target(String model, String name) {
    return ref(model, name).map(Ref::snapshot);
  }

  private RefUpdate change(
      String model,
      String name,
      Reading<Optional<String>> expected,
      Reading<Optional<String>> to,
      Reason reason) {
    Names.model(model);
    Names.ref(name);
    if (name.equals(Ref.PREVIOUS)) {
      throw new StoreException.Rejected("the ref previous moves with active and not by itself");
    }
    RefUpdate update =
        read(
            "ref " + name + " of " + model,
            () ->
                lock.exclusively(
                    () -> {
                      Optional<String> target = to.run();
                      if (target.isPresent()) {
                        manifests.read(model, target.get());
                      }
                      return refs.move(model, name, expected.run(), target, reason);
                    }));
    if (update instanceof RefUpdate.Moved moved) {
      RefMoved event = new RefMoved(model, moved.entry());
      listeners.forEach(listener -> listener.accept(event));
    }
    return update;
  }

  /**
   * Deletes blobs that no snapshot of any model names.
   *
   * @param grace younger blobs stay: they may belong to a publication in progress
   * @throws StoreException.Damaged if a manifest cannot be read; nothing is deleted then
   */
  public Collection collect(Duration grace) {
    return read("collection", () -> new Collector(files, lock, manifests, clock).collect(grace));
  }

  /** Hashes every blob that a snapshot names, and reads every manifest. */
  public Verification verify(Verification.OnDamage onDamage) {
    return verify(onDamage, Verification.Progress.NONE);
  }

  /**
   * Hashes every blob that a snapshot names, and reads every manifest.
   *
   * @param progress hears of each blob after it was hashed
   */
  public Verification verify(Verification.OnDamage onDamage, Verification.Progress progress) {
    return read(
        "verification",
        () -> new Verifier(files, lock, manifests, blobs).verify(onDamage, progress));
  }

  /**
   * Removes snapshots that may go; their blobs are left to {@link #collect}. Each removal is logged
   * before it happens.
   *
   * @return ids of what was removed, oldest first
   */
  public List<String> retain(String model, Retention retention, Reason reason) {
    return read(
        "retention of " + model,
        () ->
            lock.exclusively(
                () -> {
                  Set<String> kept = new HashSet<>();
                  refs.all(model).forEach(ref -> kept.add(ref.snapshot()));
                  Instant cutoff = clock.instant().minus(retention.age());
                  List<Manifest> all = manifests.all(model);
                  List<String> removed = new ArrayList<>();
                  for (Manifest manifest :
                      all.subList(0, Math.max(0, all.size() - retention.newest()))) {
                    if (!kept.contains(manifest.id()) && manifest.createdAt().isBefore(cutoff)) {
                      refs.logRemoval(model, manifest.id(), reason);
                      manifests.remove(model, manifest.id());
                      removed.add(manifest.id());
                    }
                  }
                  return removed;
                }));
  }

  /** Hears of every move that this instance makes, on the thread that makes it. */
  public void onMove(Consumer<RefMoved> listener) {
    listeners.add(listener);
  }

  /** Stops telling a listener. */
  public void removeListener(Consumer<RefMoved> listener) {
    listeners.remove(listener);
  }

  @Override
  public void close() {
    listeners.clear();
  }
}
