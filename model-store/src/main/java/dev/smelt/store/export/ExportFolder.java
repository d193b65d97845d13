package dev.smelt.store.export;

import dev.smelt.store.files.Folders;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.UUID;

/**
 * A folder in the making, which appears under its name when it is complete and is removed if it is
 * closed before.
 */
final class ExportFolder implements AutoCloseable {

  private final Path target;
  private final Path temporary;
  private boolean finished;

  private ExportFolder(Path target, Path temporary) {
    this.target = target;
    this.temporary = temporary;
  }

  static ExportFolder begin(Path folder) {
    Path target = folder.toAbsolutePath().normalize();
    if (Files.exists(target)) {
      throw new ExportException(target + ": exists already; remove it or choose another folder");
    }
    Path temporary =
        target.resolveSibling("." + target.getFileName() + "." + UUID.randomUUID() + ".tmp");
    try {
      Files.createDirectories(temporary);
      return new ExportFolder(target, temporary);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  Path file(String name) {
    return temporary.resolve(name);
  }

  void write(String name, byte[] content) {
    try {
      Files.write(file(name), content);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A second name for the same bytes where the file system allows it, a copy elsewhere. */
  void link(Path original) {
    Path link = file(original.getFileName().toString());
    try {
      Path real = original.toRealPath();
      try {
        Files.createLink(link, real);
      } catch (IOException | UnsupportedOperationException e) {
        Files.copy(real, link, StandardCopyOption.COPY_ATTRIBUTES);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  void copy(Path original) {
    try {
      Files.copy(original, file(original.getFileName().toString()));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  void finish() {
    try {
      sync(temporary);
      Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
      finished = true;
      sync(target.getParent());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void sync(Path folder) throws IOException {
    try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }

  @Override
  public void close() {
    if (finished) {
      return;
    }
    try {
      Folders.delete(temporary);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
