package dev.smelt.store.files;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.stream.Stream;

/** Folders as a whole. */
public final class Folders {

  private Folders() {}

  /**
   * Removes a folder and what is in it; does nothing if it is not there.
   *
   * <p>Failure semantics: what was not yet removed when it fails stays, the folder with it; to
   * remove it again is safe.
   *
   * @throws IOException if something cannot be removed, or if files are added meanwhile
   */
  public static void delete(Path folder) throws IOException {
    if (Files.notExists(folder)) {
      return;
    }
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(file);
      }
    }
  }
}
