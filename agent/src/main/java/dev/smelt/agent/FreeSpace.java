package dev.smelt.agent;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;

/** Says before anything is written when a disk is too full to begin. */
final class FreeSpace {

  static final long LEAST_TO_START_BYTES = 256L << 20;

  private FreeSpace() {}

  /**
   * Checks the disk that a folder is or will be on.
   *
   * @param bytes that must be free
   * @throws IllegalStateException if fewer are; the message names the folder and the remedy
   */
  static void require(Path folder, long bytes) throws IOException {
    Path existing = folder.toAbsolutePath();
    while (!Files.exists(existing)) {
      existing = existing.getParent();
    }
    long free = existing.toFile().getUsableSpace();
    if (free < bytes) {
      throw new IllegalStateException(
          String.format(
              Locale.ROOT,
              "%s: only %,d MB are free on its disk and %,d are needed to start; free some, or set"
                  + " 'data' to a folder on another disk",
              folder,
              free >> 20,
              bytes >> 20));
    }
  }
}
