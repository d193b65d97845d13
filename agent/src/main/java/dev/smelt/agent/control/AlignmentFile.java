package dev.smelt.agent.control;

import dev.smelt.agent.merge.AlignmentCache;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;

/**
 * Alignments of one checkpoint, kept over restarts: its digest, then one record for each pair of
 * experts, appended as it is found. They can always be computed anew.
 *
 * <p>Failure semantics: a record torn by a crash, and what follows it, is cut off at the next
 * opening; a file of another checkpoint, or one that is none, is begun anew.
 */
final class AlignmentFile implements AlignmentCache, AutoCloseable {

  private static final int WIDEST = 1 << 20;

  private final Path file;
  private final AlignmentCache known;
  private final DataOutputStream out;

  /**
   * Opens or begins a file.
   *
   * @param checkpoint the digest of the checkpoint
   */
  static AlignmentFile open(Path file, String checkpoint) throws IOException {
    Files.createDirectories(file.getParent());
    AlignmentCache kept = AlignmentCache.inMemory();
    long whole = Files.exists(file) ? read(file, checkpoint, kept) : 0;
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      channel.truncate(whole);
    }
    // A stream, not a channel: an interrupt would close that.
    DataOutputStream out =
        new DataOutputStream(new BufferedOutputStream(new FileOutputStream(file.toFile(), true)));
    AlignmentFile alignments = new AlignmentFile(file, out, kept);
    if (whole == 0) {
      out.writeUTF(checkpoint);
      out.flush();
    }
    return alignments;
  }

  private AlignmentFile(Path file, DataOutputStream out, AlignmentCache known) {
    this.file = file;
    this.out = out;
    this.known = known;
  }

  /** Reads all whole records; returns how many bytes they and the head take, 0 to begin anew. */
  private static long read(Path file, String checkpoint, AlignmentCache into) throws IOException {
    long whole = 0;
    try (DataInputStream in =
        new DataInputStream(new BufferedInputStream(Files.newInputStream(file)))) {
      if (!in.readUTF().equals(checkpoint)) {
        return 0;
      }
      whole = bytes(checkpoint);
      while (true) {
        Pair pair = new Pair(in.readUTF(), in.readInt(), in.readInt());
        int width = in.readInt();
        if (width < 1 || width > WIDEST) {
          return whole;
        }
        int[] permutation = new int[width];
        for (int neuron = 0; neuron < width; neuron++) {
          permutation[neuron] = in.readInt();
        }
        into.keep(pair, permutation);
        whole += bytes(pair.block()) + Integer.BYTES * (3L + width);
      }
    } catch (EOFException | java.io.UTFDataFormatException end) {
      return whole;
    }
  }

  /** Names are ASCII; {@link DataOutputStream#writeUTF} puts their length in two bytes before. */
  private static long bytes(String text) {
    return 2L + text.length();
  }

  @Override
  public Optional<int[]> find(Pair pair) {
    return known.find(pair);
  }

  @Override
  public synchronized void keep(Pair pair, int[] permutation) {
    known.keep(pair, permutation);
    try {
      out.writeUTF(pair.block());
      out.writeInt(pair.reference());
      out.writeInt(pair.member());
      out.writeInt(permutation.length);
      for (int neuron : permutation) {
        out.writeInt(neuron);
      }
      out.flush();
    } catch (IOException e) {
      throw new UncheckedIOException(file + ": alignments cannot be written: " + e.getMessage(), e);
    }
  }

  @Override
  public synchronized void close() throws IOException {
    out.close();
  }
}
