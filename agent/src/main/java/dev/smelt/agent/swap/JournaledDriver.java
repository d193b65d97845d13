package dev.smelt.agent.swap;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.agent.swap.SwapResult.Unknown;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Optional;

/**
 * Remembers in a file which swap is under way, so that one that the end of the agent interrupted
 * can be settled at the next start.
 *
 * <p>Failure semantics: the entry is on disk before anything is asked of the engine, and stays
 * there while the outcome is unknown. If it cannot be written, nothing is swapped.
 */
public final class JournaledDriver implements SwapDriver {

  private static final ObjectMapper JSON = new ObjectMapper();

  private final SwapDriver driver;
  private final Path journal;

  private record Entry(Serving target, Serving previous) {}

  /**
   * @param journal the file; its folder must exist
   */
  public JournaledDriver(SwapDriver driver, Path journal) {
    this.driver = driver;
    this.journal = journal;
  }

  /**
   * Settles the swap that was interrupted, if there is one. Call it at the start, before any swap.
   *
   * @throws UncheckedIOException if the journal is unreadable
   */
  public Optional<SwapResult> recover() {
    return read().map(entry -> finished(driver.settle(entry.target(), entry.previous())));
  }

  @Override
  public SwapResult swap(Serving target, Serving previous) {
    write(new Entry(target, previous));
    return finished(driver.swap(target, previous));
  }

  @Override
  public SwapResult settle(Serving target, Serving previous) {
    write(new Entry(target, previous));
    return finished(driver.settle(target, previous));
  }

  private SwapResult finished(SwapResult result) {
    if (!(result instanceof Unknown)) {
      try {
        Files.deleteIfExists(journal);
      } catch (IOException kept) {
        throw new UncheckedIOException(journal + ": cannot be removed", kept);
      }
    }
    return result;
  }

  private void write(Entry entry) {
    ObjectNode json = JSON.createObjectNode();
    json.set("target", json(entry.target()));
    json.set("previous", json(entry.previous()));
    Path draft = journal.resolveSibling(journal.getFileName() + ".new");
    try {
      try (FileChannel file =
          FileChannel.open(
              draft,
              StandardOpenOption.CREATE,
              StandardOpenOption.TRUNCATE_EXISTING,
              StandardOpenOption.WRITE)) {
        ByteBuffer bytes = ByteBuffer.wrap(JSON.writeValueAsBytes(json));
        while (bytes.hasRemaining()) {
          file.write(bytes);
        }
        file.force(true);
      }
      Files.move(
          draft, journal, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException failed) {
      throw new UncheckedIOException(
          journal + ": the swap journal cannot be written, so nothing is swapped", failed);
    }
  }

  private Optional<Entry> read() {
    try {
      JsonNode json = JSON.readTree(journal.toFile());
      return Optional.of(new Entry(serving(json.path("target")), serving(json.path("previous"))));
    } catch (NoSuchFileException | FileNotFoundException none) {
      return Optional.empty();
    } catch (IOException damaged) {
      throw new UncheckedIOException(
          journal
              + ": the swap journal is damaged; check what the engine serves, then remove the file",
          damaged);
    }
  }

  private static ObjectNode json(Serving serving) {
    return JSON.createObjectNode()
        .put("snapshot", serving.snapshot())
        .put("directory", serving.directory().toString());
  }

  private static Serving serving(JsonNode json) throws IOException {
    if (!json.path("snapshot").isTextual() || !json.path("directory").isTextual()) {
      throw new IOException("an entry without snapshot or directory");
    }
    return new Serving(json.path("snapshot").asText(), Path.of(json.path("directory").asText()));
  }
}
