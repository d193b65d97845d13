package dev.smelt.store.snapshot;

import dev.smelt.store.files.Digests;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;

/**
 * Receives the bytes of one blob.
 *
 * <p>Failure semantics: the blob appears under its digest complete and on stable storage, or not at
 * all; closing before {@link #finish} drops what was received.
 */
public final class BlobWriter implements WritableByteChannel {

  /** Small enough that what was hashed is still in the processor's cache when it is written. */
  private static final int PIECE = 1 << 18;

  private final StoreFiles files;
  private final Blobs blobs;
  private final Path temporary;
  private final FileChannel channel;
  private final MessageDigest sha = Digests.sha256();
  private long length;
  private final Leftover leftover;
  private boolean finished;

  private BlobWriter(
      StoreFiles files, Blobs blobs, Path temporary, FileChannel channel, Leftover leftover) {
    this.files = files;
    this.blobs = blobs;
    this.temporary = temporary;
    this.channel = channel;
    this.leftover = leftover;
  }

  private enum Leftover {
    DROP,
    KEEP
  }

  static BlobWriter fresh(StoreFiles files, Blobs blobs) throws IOException {
    Path temporary = files.temporary();
    return new BlobWriter(
        files, blobs, temporary, files.operations().create(temporary), Leftover.DROP);
  }

  static BlobWriter resuming(StoreFiles files, Blobs blobs, String digest) throws IOException {
    Path temporary = files.partial(digest);
    FileChannel channel = files.operations().openForAppend(temporary);
    BlobWriter writer = new BlobWriter(files, blobs, temporary, channel, Leftover.KEEP);
    try (FileChannel received = FileChannel.open(temporary, StandardOpenOption.READ)) {
      ByteBuffer buffer = ByteBuffer.allocate(1 << 16);
      while (received.read(buffer.clear()) >= 0) {
        writer.length += buffer.position();
        writer.sha.update(buffer.flip());
      }
    }
    channel.position(writer.length);
    return writer;
  }

  @Override
  public int write(ByteBuffer bytes) throws IOException {
    int count = bytes.remaining();
    int end = bytes.limit();
    while (bytes.position() < end) {
      bytes.limit(Math.min(end, bytes.position() + PIECE));
      sha.update(bytes.duplicate());
      files.operations().write(channel, bytes);
    }
    length += count;
    return count;
  }

  /** Bytes received so far. */
  public long length() {
    return length;
  }

  /**
   * Completes the blob.
   *
   * @return its digest
   * @throws StoreException.Failed if the disk refuses
   */
  public String finish() {
    return finish(Digests.text(sha));
  }

  /**
   * Completes the blob if it is the expected one.
   *
   * @throws StoreException.Rejected if the bytes have another digest; nothing is kept
   * @throws StoreException.Failed if the disk refuses
   */
  public String finishAs(String expected) {
    String digest = Digests.text(sha);
    if (!digest.equals(Names.digest(expected))) {
      files.deleteQuietly(temporary);
      throw new StoreException.Rejected(
          "the bytes have digest " + digest + ", not " + expected + "; send them again");
    }
    return finish(digest);
  }

  private String finish(String digest) {
    try {
      blobs.place(temporary, channel, digest);
      finished = true;
      return digest;
    } catch (IOException e) {
      throw Failures.of("blob " + digest, e);
    }
  }

  @Override
  public boolean isOpen() {
    return channel.isOpen();
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } finally {
      if (!finished && leftover == Leftover.DROP) {
        files.deleteQuietly(temporary);
      }
    }
  }
}
