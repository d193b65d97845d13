package dev.smelt.store.snapshot;

import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.Tensor;
import java.util.List;

/** Publishes small snapshots. */
final class Snapshots {

  static final String MODEL = "tiny";
  static final Reason BECAUSE = new Reason("test", "because");

  private Snapshots() {}

  static Tensor tensor(String name, float... values) {
    return Tensor.floats(name, DType.BF16, List.of((long) values.length), values);
  }

  static Manifest publish(SnapshotStore store, Tensor... tensors) {
    try (Publication publication = store.begin(MODEL)) {
      for (Tensor tensor : tensors) {
        publication.add(tensor);
      }
      return publication.commit(ManifestDraft.of("test", "by hand", "m-smoe", "sha256:0"));
    }
  }
}
