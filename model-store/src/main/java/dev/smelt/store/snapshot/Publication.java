package dev.smelt.store.snapshot;

import dev.smelt.store.safetensors.Tensor;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A snapshot in the making. Safe for use by several threads; tensors keep the order in which they
 * were added.
 *
 * <p>Failure semantics: until {@link #commit} returns, no reader sees anything of it. Closing
 * without a commit, or dying, leaves blobs that no snapshot names; the collector removes them after
 * its grace period.
 */
public final class Publication implements AutoCloseable {

  private final String model;
  private final Manifests manifests;
  private final Blobs blobs;
  private final StoreFiles files;
  private final StoreLock lock;
  private final Map<String, StoredTensor> tensors = new LinkedHashMap<>();
  private boolean committed;

  Publication(String model, Manifests manifests, Blobs blobs, StoreFiles files, StoreLock lock) {
    this.model = Names.model(model);
    this.manifests = manifests;
    this.blobs = blobs;
    this.files = files;
    this.lock = lock;
  }

  /**
   * Stores a tensor's bytes, once for all snapshots that share them.
   *
   * @return the digest of its blob
   * @throws StoreException.Rejected if the tensor's name was added before, or it produces another
   *     number of bytes than its shape takes
   * @throws StoreException.Failed if the disk refuses
   */
  public String add(Tensor tensor) {
    try (BlobWriter writer = BlobWriter.fresh(files, blobs)) {
      tensor.bytes().writeTo(writer);
      if (writer.length() != tensor.length()) {
        throw new StoreException.Rejected(
            tensor.name()
                + ": produced "
                + writer.length()
                + " bytes, its shape takes "
                + tensor.length());
      }
      String digest = writer.finish();
      remember(
          tensor.name(), new StoredTensor(tensor.dtype(), tensor.shape(), digest, tensor.length()));
      return digest;
    } catch (IOException e) {
      throw Failures.of(tensor.name(), e);
    }
  }

  /**
   * Takes over a tensor of another snapshot, or one whose blob was uploaded, without its bytes.
   *
   * @throws StoreException.Rejected if its blob is not there, has another length, or the name was
   *     added before
   */
  public void reuse(String name, StoredTensor tensor) {
    try {
      lock.exclusively(
          () -> {
            if (!blobs.present(tensor.digest())) {
              throw new StoreException.Rejected(
                  name + ": blob " + tensor.digest() + " is not in the store; send it first");
            }
            blobs.touch(tensor.digest());
            return tensor;
          });
      if (blobs.length(tensor.digest()) != tensor.bytes()) {
        throw new StoreException.Rejected(
            name
                + ": blob "
                + tensor.digest()
                + " has "
                + blobs.length(tensor.digest())
                + " bytes, not "
                + tensor.bytes());
      }
    } catch (IOException e) {
      throw Failures.of(name, e);
    }
    remember(name, tensor);
  }

  /** What was added so far, readable before it is committed. */
  public synchronized SnapshotTensors tensors() {
    return new SnapshotTensors(
        files, "the snapshot of " + model + " in the making", new LinkedHashMap<>(tensors));
  }

  private synchronized void remember(String name, StoredTensor tensor) {
    if (committed) {
      throw new IllegalStateException("the snapshot is committed");
    }
    if (tensors.putIfAbsent(name, tensor) != null) {
      throw new StoreException.Rejected(name + ": was added before");
    }
  }

  /**
   * Makes the snapshot visible; one without tensors stands for the full model. No ref moves.
   *
   * @throws StoreException.Rejected if its parent is not there, or a blob was collected meanwhile
   * @throws StoreException.Failed if the disk refuses; nothing is visible
   * @throws StoreException.UnknownOutcome if it is visible but may not survive a power failure
   */
  public synchronized Manifest commit(ManifestDraft draft) {
    if (committed) {
      throw new IllegalStateException("the snapshot is committed already");
    }
    try {
      blobs.sync();
      Manifest manifest =
          lock.exclusively(
              () -> {
                for (Map.Entry<String, StoredTensor> tensor : tensors.entrySet()) {
                  if (!blobs.present(tensor.getValue().digest())) {
                    throw new StoreException.Rejected(
                        tensor.getKey()
                            + ": its blob was collected before the snapshot was complete; publish"
                            + " again with a longer grace period for `smelt store gc`");
                  }
                }
                return manifests.add(model, draft, tensors);
              });
      committed = true;
      return manifest;
    } catch (IOException e) {
      throw Failures.of("snapshot of " + model, e);
    }
  }

  @Override
  public void close() {
    // Unreferenced blobs are the collector's.
  }
}
