package dev.smelt.store.snapshot;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Excludes other writers of the same root, in this process and in others. Readers take no lock. The
 * operating system frees it when its holder dies.
 */
final class StoreLock {

  private static final Map<Path, ReentrantLock> WITHIN_PROCESS = new ConcurrentHashMap<>();

  private final StoreFiles files;
  private final ReentrantLock within;

  StoreLock(StoreFiles files) {
    this.files = files;
    this.within = WITHIN_PROCESS.computeIfAbsent(files.root(), root -> new ReentrantLock());
  }

  interface Work<T> {
    T run() throws IOException;
  }

  <T> T exclusively(Work<T> work) throws IOException {
    within.lock();
    try {
      if (within.getHoldCount() > 1) {
        return work.run();
      }
      files.createFolders(files.root());
      try (FileChannel channel =
              FileChannel.open(files.lock(), StandardOpenOption.WRITE, StandardOpenOption.CREATE);
          FileLock held = channel.lock()) {
        return work.run();
      }
    } finally {
      within.unlock();
    }
  }
}
