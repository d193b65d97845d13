package dev.smelt.store.snapshot;

import dev.smelt.store.files.Digests;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.time.Clock;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;

/** Content-addressed files. */
final class Blobs {

  private final StoreFiles files;
  private final Clock clock;

  /** Folders that hold renamed blobs whose names are not yet on stable storage. */
  private final Set<Path> unsynced = ConcurrentHashMap.newKeySet();

  Blobs(StoreFiles files, Clock clock) {
    this.files = files;
    this.clock = clock;
  }

  /**
   * Puts a finished file under its digest. A blob that is already there is replaced by the same
   * bytes: that renews its age for the collector, and heals it should it be damaged.
   */
  void place(Path temporary, FileChannel channel, String digest) throws IOException {
    Path target = files.blob(digest);
    files.operations().touch(temporary, clock.instant());
    files.operations().sync(channel);
    files.createFolders(target.getParent());
    files.operations().rename(temporary, target);
    unsynced.add(target.getParent());
  }

  /** Puts the names of all placed blobs on stable storage. */
  void sync() throws IOException {
    for (Path folder : new TreeSet<>(unsynced)) {
      unsynced.remove(folder);
      try {
        files.operations().syncFolder(folder);
      } catch (IOException e) {
        unsynced.add(folder);
        throw e;
      }
    }
  }

  /** Renews a blob's age; the caller holds the lock. */
  void touch(String digest) throws IOException {
    files.operations().touch(files.blob(digest), clock.instant());
  }

  boolean present(String digest) {
    return Files.isRegularFile(files.blob(digest), LinkOption.NOFOLLOW_LINKS);
  }

  /** Whether a blob is there and has the digest of its name. */
  boolean intact(String digest) {
    try (FileChannel channel =
        FileChannel.open(
            files.blob(digest), Set.of(StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS))) {
      MessageDigest sha = Digests.sha256();
      ByteBuffer buffer = ByteBuffer.allocate(1 << 16);
      while (channel.read(buffer.clear()) >= 0) {
        sha.update(buffer.flip());
      }
      return Digests.text(sha).equals(digest);
    } catch (IOException e) {
      return false;
    }
  }

  long length(String digest) throws IOException {
    return Files.size(files.blob(digest));
  }
}
