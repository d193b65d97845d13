package dev.smelt.agent.control;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.datatype.jsr310.JavaTimeModule;
import java.io.BufferedReader;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What the loop of one model decided and did, and why: one JSON object a line, oldest first.
 *
 * <p>Failure semantics: a line is on disk before {@link #write} returns; a crash in the middle of a
 * line leaves a torn last line, which the next opening cuts off. Over {@value #LARGEST} bytes the
 * file is moved aside to {@code journal.1.jsonl}, replacing an earlier one.
 */
public final class Journal implements AutoCloseable {

  /** What an entry is about. */
  public enum Kind {
    DECISION,
    STATE,
    GATE,
    ACTIVATION,
    CANARY,
    OPERATOR,
    FAILURE
  }

  /**
   * One thing that happened.
   *
   * @param at when
   * @param kind what it is about
   * @param message in words
   * @param figures the numbers behind it, as JSON values
   */
  public record Entry(Instant at, Kind kind, String message, Map<String, Object> figures) {
    public Entry {
      figures = Map.copyOf(figures);
    }
  }

  private static final Logger LOGGER = LoggerFactory.getLogger(Journal.class);
  private static final long LARGEST = 16 << 20;
  private static final int REMEMBERED = 1_000;
  private static final ObjectMapper JSON =
      new ObjectMapper()
          .registerModule(new JavaTimeModule())
          .disable(SerializationFeature.WRITE_DATES_AS_TIMESTAMPS);

  private final Path file;
  private final Consumer<Entry> listener;
  private final Deque<Entry> newest = new ArrayDeque<>();
  private FileOutputStream out;
  private @Nullable Entry lastDecision;

  private Journal(Path file, Consumer<Entry> listener) throws IOException {
    this.file = file;
    this.listener = listener;
    Files.createDirectories(file.getParent());
    readBack();
    this.out = append(file);
  }

  /**
   * Opens or creates a journal.
   *
   * @param file the file, named {@code journal.jsonl} by convention
   * @param listener told of each entry after it is on disk
   */
  static Journal open(Path file, Consumer<Entry> listener) throws IOException {
    return new Journal(file, listener);
  }

  /** Writes an entry. A decision that repeats the one before it word for word is not written. */
  synchronized void write(Entry entry) {
    if (entry.kind() == Kind.DECISION) {
      if (lastDecision != null && lastDecision.message().equals(entry.message())) {
        return;
      }
      lastDecision = entry;
    } else {
      lastDecision = null;
    }
    try {
      byte[] line = (JSON.writeValueAsString(entry) + "\n").getBytes(StandardCharsets.UTF_8);
      out.write(line);
      out.getFD().sync();
      if (Files.size(file) > LARGEST) {
        rotate();
      }
    } catch (IOException e) {
      throw new UncheckedIOException(
          file + ": the journal cannot be written: " + e.getMessage(), e);
    }
    remember(entry);
    listener.accept(entry);
  }

  /** The newest entries, newest first. */
  public synchronized List<Entry> newest(int most) {
    List<Entry> entries = new ArrayList<>(newest);
    return List.copyOf(entries.subList(0, Math.min(most, entries.size())));
  }

  @Override
  public synchronized void close() throws IOException {
    out.close();
  }

  private void remember(Entry entry) {
    newest.addFirst(entry);
    if (newest.size() > REMEMBERED) {
      newest.removeLast();
    }
  }

  private void readBack() throws IOException {
    if (!Files.exists(file)) {
      return;
    }
    long whole = 0;
    try (BufferedReader reader = Files.newBufferedReader(file)) {
      for (String line = reader.readLine(); line != null; line = reader.readLine()) {
        remember(JSON.readValue(line, Entry.class));
        whole += line.getBytes(StandardCharsets.UTF_8).length + 1L;
      }
    } catch (com.fasterxml.jackson.core.JsonProcessingException torn) {
      LOGGER.atWarn().addKeyValue("file", file).log("journal ends in a torn line; cut off");
    }
    try (FileChannel writable = FileChannel.open(file, StandardOpenOption.WRITE)) {
      if (writable.size() > whole) {
        writable.truncate(whole);
      }
    }
  }

  private void rotate() throws IOException {
    out.close();
    Files.move(
        file,
        file.resolveSibling("journal.1.jsonl"),
        java.nio.file.StandardCopyOption.REPLACE_EXISTING);
    out = append(file);
  }

  /** Not a channel: an interrupt of the writing thread would close it for good. */
  private static FileOutputStream append(Path file) throws IOException {
    return new FileOutputStream(file.toFile(), /* append= */ true);
  }
}
