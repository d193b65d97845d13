package dev.smelt.store.snapshot;

import dev.smelt.store.files.Digests;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.UUID;

/** Where everything lies under the root, and how a file gets there whole. */
final class StoreFiles {

  private final Path root;
  private final FileOperations operations;

  StoreFiles(Path root, FileOperations operations) {
    this.root = root;
    this.operations = operations;
  }

  FileOperations operations() {
    return operations;
  }

  Path root() {
    return root;
  }

  Path models() {
    return root.resolve("models");
  }

  Path model(String model) {
    return models().resolve(Names.model(model));
  }

  Path snapshots(String model) {
    return model(model).resolve("snapshots");
  }

  Path manifest(String model, String id) {
    return snapshots(model).resolve(Names.snapshot(id) + ".json");
  }

  Path signature(String model, String id) {
    return snapshots(model).resolve(Names.snapshot(id) + ".sig");
  }

  Path refs(String model) {
    return model(model).resolve("refs");
  }

  Path ref(String model, String name) {
    return refs(model).resolve(Names.ref(name));
  }

  Path log(String model) {
    return model(model).resolve("log");
  }

  Path blobs() {
    return root.resolve("blobs").resolve("sha256");
  }

  Path blob(String digest) {
    String hex = Digests.hex(Names.digest(digest));
    return blobs().resolve(hex.substring(0, 2)).resolve(hex.substring(2));
  }

  Path quarantine() {
    return root.resolve("quarantine");
  }

  Path temporaryFolder() {
    return root.resolve("tmp");
  }

  Path lock() {
    return root.resolve("lock");
  }

  /** A name for a file that is still being written. */
  Path temporary() throws IOException {
    createFolders(temporaryFolder());
    return temporaryFolder().resolve(UUID.randomUUID().toString());
  }

  /** Where a blob is gathered over several transfers. */
  Path partial(String digest) throws IOException {
    createFolders(temporaryFolder());
    return temporaryFolder().resolve("partial-" + Digests.hex(Names.digest(digest)));
  }

  /** Creates a folder and those above it, each on stable storage before the next. */
  void createFolders(Path folder) throws IOException {
    if (Files.isDirectory(folder)) {
      return;
    }
    Path parent = folder.getParent();
    if (parent != null) {
      createFolders(parent);
    }
    try {
      operations.createFolder(folder);
    } catch (FileAlreadyExistsException e) {
      if (!Files.isDirectory(folder)) {
        throw e;
      }
    }
    if (parent != null) {
      operations.syncFolder(parent);
    }
  }

  /** What became of an attempt to put a file in place. */
  enum Placed {
    DURABLY,
    PERHAPS
  }

  /**
   * Puts content under a name: the name leads to all of it or to what was there before.
   *
   * @return {@code PERHAPS} if the name was changed but may not survive a power failure
   * @throws IOException if the name was not changed
   */
  Placed replace(Path target, byte[] content) throws IOException {
    createFolders(target.getParent());
    Path temporary = temporary();
    try {
      try (FileChannel channel = operations.create(temporary)) {
        operations.write(channel, ByteBuffer.wrap(content));
        operations.sync(channel);
      }
      operations.rename(temporary, target);
    } catch (IOException e) {
      if (Files.exists(temporary)) {
        deleteQuietly(temporary);
        throw e;
      }
      return placedAfterAll(target, content, e);
    }
    try {
      operations.syncFolder(target.getParent());
      return Placed.DURABLY;
    } catch (IOException e) {
      return Placed.PERHAPS;
    }
  }

  private static Placed placedAfterAll(Path target, byte[] content, IOException failure)
      throws IOException {
    if (Files.exists(target) && java.util.Arrays.equals(Files.readAllBytes(target), content)) {
      return Placed.PERHAPS;
    }
    throw failure;
  }

  void deleteQuietly(Path file) {
    try {
      operations.delete(file);
    } catch (IOException ignored) {
      // Left over temporary files are collected after the grace period.
    }
  }
}
