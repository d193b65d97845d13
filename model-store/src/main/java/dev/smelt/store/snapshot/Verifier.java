package dev.smelt.store.snapshot;

import dev.smelt.store.files.Digests;
import dev.smelt.store.snapshot.Verification.Damage;
import dev.smelt.store.snapshot.Verification.OnDamage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Reads every manifest and hashes every blob that one names. */
final class Verifier {

  private final StoreFiles files;
  private final StoreLock lock;
  private final Manifests manifests;
  private final Blobs blobs;

  Verifier(StoreFiles files, StoreLock lock, Manifests manifests, Blobs blobs) {
    this.files = files;
    this.lock = lock;
    this.manifests = manifests;
    this.blobs = blobs;
  }

  Verification verify(OnDamage onDamage, Verification.Progress progress) throws IOException {
    List<Damage> damages = new ArrayList<>();
    Map<String, List<String>> users = new TreeMap<>();
    int read = 0;
    for (String model : manifests.models()) {
      for (String id : manifests.ids(model)) {
        String snapshot = model + "/" + id;
        try {
          manifests
              .read(model, id)
              .tensors()
              .values()
              .forEach(
                  tensor -> {
                    List<String> known =
                        users.computeIfAbsent(tensor.digest(), digest -> new ArrayList<>());
                    if (!known.contains(snapshot)) {
                      known.add(snapshot);
                    }
                  });
          read++;
        } catch (StoreException e) {
          damages.add(new Damage(snapshot, String.valueOf(e.getMessage()), List.of(snapshot)));
        }
      }
    }
    long all = 0;
    for (String digest : users.keySet()) {
      all += blobs.present(digest) ? blobs.length(digest) : 0;
    }
    long bytes = 0;
    long hashed = 0;
    for (Map.Entry<String, List<String>> blob : users.entrySet()) {
      if (!blobs.present(blob.getKey())) {
        damages.add(new Damage(blob.getKey(), "is missing", blob.getValue()));
        continue;
      }
      long length = blobs.length(blob.getKey());
      boolean intact = blobs.intact(blob.getKey());
      hashed += length;
      progress.hashed(hashed, all);
      if (intact) {
        bytes += length;
      } else {
        damages.add(new Damage(blob.getKey(), "has other bytes", blob.getValue()));
        if (onDamage == OnDamage.QUARANTINE) {
          lock.exclusively(() -> quarantine(blob.getKey()));
        }
      }
    }
    return new Verification(read, users.size(), bytes, damages);
  }

  private Path quarantine(String digest) throws IOException {
    files.createFolders(files.quarantine());
    Path target = files.quarantine().resolve(Digests.hex(digest));
    files.operations().rename(files.blob(digest), target);
    files.operations().syncFolder(files.quarantine());
    files.operations().syncFolder(files.blob(digest).getParent());
    return target;
  }
}
