package dev.smelt.store.snapshot;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.time.Instant;

/** Every operation by which the store changes a disk, so that tests can fail each one in turn. */
interface FileOperations {

  /** Straight to the file system. */
  FileOperations PLAIN = new FileOperations() {};

  default void createFolder(Path folder) throws IOException {
    Files.createDirectory(folder);
  }

  default FileChannel create(Path file) throws IOException {
    return FileChannel.open(file, StandardOpenOption.WRITE, StandardOpenOption.CREATE_NEW);
  }

  default FileChannel openForAppend(Path file) throws IOException {
    return FileChannel.open(file, StandardOpenOption.WRITE, StandardOpenOption.CREATE);
  }

  default void write(FileChannel channel, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }

  default void truncate(FileChannel channel, long size) throws IOException {
    channel.truncate(size);
  }

  default void sync(FileChannel channel) throws IOException {
    channel.force(true);
  }

  default void syncFolder(Path folder) throws IOException {
    try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }

  default void rename(Path from, Path to) throws IOException {
    Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
  }

  default void touch(Path file, Instant time) throws IOException {
    Files.setLastModifiedTime(file, FileTime.from(time));
  }

  default void delete(Path file) throws IOException {
    Files.deleteIfExists(file);
  }
}
