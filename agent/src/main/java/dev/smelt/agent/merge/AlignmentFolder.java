package dev.smelt.agent.merge;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Remembers alignments of one checkpoint on disk, a small file per pair: F numbers of 32 bits,
 * little-endian. What can't be read is found again; what can't be written is not remembered.
 *
 * <p>Failure semantics: a file appears complete or not at all; a cache that fails costs time only.
 */
final class AlignmentFolder implements AlignmentCache {

  private static final Logger LOG = LoggerFactory.getLogger(AlignmentFolder.class);

  private final Path folder;
  private final AlignmentCache memory = AlignmentCache.inMemory();

  /**
   * @param folder of this checkpoint's alignments; is made when the first one is kept
   */
  AlignmentFolder(Path folder) {
    this.folder = folder;
  }

  @Override
  public Optional<int[]> find(Pair pair) {
    Optional<int[]> known = memory.find(pair);
    if (known.isPresent()) {
      return known;
    }
    Optional<int[]> stored = read(file(pair));
    stored.ifPresent(permutation -> memory.keep(pair, permutation));
    return stored;
  }

  @Override
  public void keep(Pair pair, int[] permutation) {
    memory.keep(pair, permutation);
    try {
      Files.createDirectories(folder);
      Path part = Files.createTempFile(folder, "alignment", ".part");
      Files.write(part, bytes(permutation));
      Files.move(part, file(pair), StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException failed) {
      LOG.atWarn()
          .addKeyValue("folder", folder)
          .addKeyValue("reason", failed.toString())
          .log("Can't keep an alignment; it will be found again next time");
    }
  }

  private Path file(Pair pair) {
    return folder.resolve(pair.block() + "." + pair.reference() + "." + pair.member());
  }

  private static Optional<int[]> read(Path file) {
    try {
      ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
      int[] permutation = new int[bytes.remaining() / Integer.BYTES];
      bytes.asIntBuffer().get(permutation);
      return permutes(permutation) ? Optional.of(permutation) : Optional.empty();
    } catch (NoSuchFileException unknown) {
      return Optional.empty();
    } catch (IOException failed) {
      LOG.atWarn()
          .addKeyValue("file", file)
          .addKeyValue("reason", failed.toString())
          .log("Can't read an alignment; it is found again");
      return Optional.empty();
    }
  }

  private static boolean permutes(int[] permutation) {
    boolean[] seen = new boolean[permutation.length];
    for (int neuron : permutation) {
      if (neuron < 0 || neuron >= seen.length || seen[neuron]) {
        return false;
      }
      seen[neuron] = true;
    }
    return permutation.length > 0;
  }

  private static byte[] bytes(int[] permutation) {
    ByteBuffer bytes =
        ByteBuffer.allocate(permutation.length * Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asIntBuffer().put(permutation);
    return bytes.array();
  }
}
