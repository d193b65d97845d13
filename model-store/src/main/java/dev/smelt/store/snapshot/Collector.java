package dev.smelt.store.snapshot;

import dev.smelt.store.files.Digests;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Deletes blobs that no snapshot names, while others publish. A blob's age counts from when it was
 * last written or taken over, so a publication in progress is safe for the grace period; a
 * publication that takes longer finds out when it commits.
 */
final class Collector {

  /** Blobs deleted in one go: others wait for the lock no longer than that takes. */
  private static final int BATCH = 256;

  private final StoreFiles files;
  private final StoreLock lock;
  private final Manifests manifests;
  private final Clock clock;
  private final Set<String> named = new HashSet<>();
  private final Set<String> read = new HashSet<>();

  Collector(StoreFiles files, StoreLock lock, Manifests manifests, Clock clock) {
    this.files = files;
    this.lock = lock;
    this.manifests = manifests;
    this.clock = clock;
  }

  Collection collect(Duration grace) throws IOException {
    Instant cutoff = clock.instant().minus(grace);
    mark();
    List<Path> candidates = new ArrayList<>();
    int young = 0;
    for (Path blob : blobs()) {
      if (!named.contains(digest(blob))) {
        if (old(blob, cutoff)) {
          candidates.add(blob);
        } else {
          young++;
        }
      }
    }
    int deleted = 0;
    long bytes = 0;
    for (int first = 0; first < candidates.size(); first += BATCH) {
      List<Path> batch = candidates.subList(first, Math.min(candidates.size(), first + BATCH));
      List<Long> sizes = lock.exclusively(() -> delete(batch, cutoff));
      deleted += sizes.size();
      bytes += sizes.stream().mapToLong(Long::longValue).sum();
    }
    return new Collection(deleted, bytes, young, deleteTemporary(cutoff));
  }

  /** Reads the manifests that were not read before; one that is damaged stops the collection. */
  private void mark() throws IOException {
    for (String model : manifests.models()) {
      for (String id : manifests.ids(model)) {
        if (read.add(model + "/" + id)) {
          manifests
              .read(model, id)
              .tensors()
              .values()
              .forEach(tensor -> named.add(tensor.digest()));
        }
      }
    }
  }

  private List<Path> blobs() throws IOException {
    List<Path> blobs = new ArrayList<>();
    if (Files.isDirectory(files.blobs())) {
      try (DirectoryStream<Path> folders = Files.newDirectoryStream(files.blobs())) {
        for (Path folder : folders) {
          try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder)) {
            entries.forEach(blobs::add);
          }
        }
      }
    }
    return blobs;
  }

  static String digest(Path blob) {
    return Digests.PREFIX + blob.getParent().getFileName() + blob.getFileName();
  }

  private static boolean old(Path file, Instant cutoff) throws IOException {
    try {
      return !Files.getLastModifiedTime(file).toInstant().isAfter(cutoff);
    } catch (NoSuchFileException e) {
      return false;
    }
  }

  private List<Long> delete(List<Path> batch, Instant cutoff) throws IOException {
    mark();
    List<Long> sizes = new ArrayList<>();
    for (Path blob : batch) {
      if (!named.contains(digest(blob)) && old(blob, cutoff)) {
        long size = Files.size(blob);
        files.operations().delete(blob);
        sizes.add(size);
      }
    }
    return sizes;
  }

  private int deleteTemporary(Instant cutoff) throws IOException {
    int deleted = 0;
    if (Files.isDirectory(files.temporaryFolder())) {
      try (DirectoryStream<Path> entries = Files.newDirectoryStream(files.temporaryFolder())) {
        for (Path entry : entries) {
          if (old(entry, cutoff)) {
            files.operations().delete(entry);
            deleted++;
          }
        }
      }
    }
    return deleted;
  }
}
