package dev.smelt.store.snapshot;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/**
 * File operations that count their steps and do something at one of them. A write has two steps,
 * the second with half of its bytes written.
 */
final class FailingFiles implements FileOperations {

  /** What happens at the step. */
  @FunctionalInterface
  interface Blow {
    void strike() throws IOException;
  }

  /** The process is gone: nothing that it would do afterwards happens. */
  static final class Death extends Error {
    private static final long serialVersionUID = 1;
  }

  private final int fatal;
  private final Blow blow;
  private int steps;
  private boolean dead;
  private final Map<FileChannel, Path> open = new HashMap<>();
  private final Set<Path> unsynced = new HashSet<>();

  FailingFiles(int fatal, Blow blow) {
    this.fatal = fatal;
    this.blow = blow;
  }

  /** Dies at the step, and loses what was written but not synced. */
  static FailingFiles dyingAt(int step) {
    return new FailingFiles(
        step,
        () -> {
          throw new Death();
        });
  }

  static FailingFiles counting() {
    return new FailingFiles(0, () -> {});
  }

  int steps() {
    return steps;
  }

  private void step() throws IOException {
    if (dead) {
      throw new Death();
    }
    steps++;
    if (steps == fatal) {
      try {
        blow.strike();
      } catch (Death death) {
        dead = true;
        loseUnsynced();
        throw death;
      }
    }
  }

  private void loseUnsynced() throws IOException {
    for (Path file : unsynced) {
      if (Files.exists(file)) {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
          channel.truncate(0);
        }
      }
    }
  }

  @Override
  public void createFolder(Path folder) throws IOException {
    step();
    PLAIN.createFolder(folder);
  }

  @Override
  public FileChannel create(Path file) throws IOException {
    step();
    FileChannel channel = PLAIN.create(file);
    open.put(channel, file);
    unsynced.add(file);
    return channel;
  }

  @Override
  public FileChannel openForAppend(Path file) throws IOException {
    step();
    return PLAIN.openForAppend(file);
  }

  @Override
  public void write(FileChannel channel, ByteBuffer bytes) throws IOException {
    step();
    ByteBuffer half = bytes.duplicate().limit(bytes.position() + bytes.remaining() / 2);
    bytes.position(half.limit());
    PLAIN.write(channel, half);
    step();
    PLAIN.write(channel, bytes);
  }

  @Override
  public void truncate(FileChannel channel, long size) throws IOException {
    step();
    PLAIN.truncate(channel, size);
  }

  @Override
  public void sync(FileChannel channel) throws IOException {
    step();
    Path file = open.get(channel);
    if (file != null) {
      unsynced.remove(file);
    }
  }

  @Override
  public void syncFolder(Path folder) throws IOException {
    step();
  }

  @Override
  public void rename(Path from, Path to) throws IOException {
    step();
    PLAIN.rename(from, to);
    if (unsynced.remove(from)) {
      unsynced.add(to);
    }
  }

  @Override
  public void touch(Path file, Instant time) throws IOException {
    step();
    PLAIN.touch(file, time);
  }

  @Override
  public void delete(Path file) throws IOException {
    step();
    PLAIN.delete(file);
  }
}
