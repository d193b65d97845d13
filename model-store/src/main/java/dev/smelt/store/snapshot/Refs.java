package dev.smelt.store.snapshot;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.smelt.store.snapshot.StoreFiles.Placed;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The refs of all models and the log of their moves.
 *
 * <p>A ref's file holds the log entry of its last move. Renaming that file is the move; the line in
 * the log follows it. Whoever dies in between leaves an entry that only the ref knows, and the next
 * change of the same model appends it first, so that no move is ever missing from the log.
 */
final class Refs {

  private static final Logger LOG = LoggerFactory.getLogger(Refs.class);
  private static final String REPLACED = "replaced";

  private final StoreFiles files;
  private final Clock clock;

  Refs(StoreFiles files, Clock clock) {
    this.files = files;
    this.clock = clock;
  }

  private record Stored(LogEntry entry, Optional<String> replaced) {}

  Optional<Ref> find(String model, String name) throws IOException {
    if (name.equals(Ref.PREVIOUS)) {
      return read(model, Ref.ACTIVE)
          .flatMap(
              active ->
                  active
                      .replaced()
                      .map(
                          snapshot ->
                              new Ref(
                                  Ref.PREVIOUS,
                                  snapshot,
                                  Optional.empty(),
                                  active.entry().sequence(),
                                  active.entry().at())));
    }
    return read(model, name).flatMap(Refs::ref);
  }

  private static Optional<Ref> ref(Stored stored) {
    LogEntry entry = stored.entry();
    return entry
        .to()
        .map(
            snapshot ->
                new Ref(entry.ref(), snapshot, stored.replaced(), entry.sequence(), entry.at()));
  }

  /** All refs of a model by name, {@code previous} included. */
  List<Ref> all(String model) throws IOException {
    List<Ref> refs = new ArrayList<>();
    for (Stored stored : stored(model)) {
      ref(stored).ifPresent(refs::add);
    }
    find(model, Ref.PREVIOUS).ifPresent(refs::add);
    refs.sort(Comparator.comparing(Ref::name));
    return refs;
  }

  private List<Stored> stored(String model) throws IOException {
    List<Stored> all = new ArrayList<>();
    Path folder = files.refs(model);
    if (Files.isDirectory(folder)) {
      try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder)) {
        for (Path entry : entries) {
          read(model, entry.getFileName().toString()).ifPresent(all::add);
        }
      }
    }
    return all;
  }

  private Optional<Stored> read(String model, String name) throws IOException {
    Path file = files.ref(model, name);
    try (var in = Files.newInputStream(file, LinkOption.NOFOLLOW_LINKS)) {
      ObjectNode node = StoreJson.object(in.readAllBytes());
      return Optional.of(new Stored(StoreJson.entry(node), StoreJson.optionalText(node, REPLACED)));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    } catch (StoreException.Rejected e) {
      throw new StoreException.Damaged(file + ": is damaged: " + e.getMessage(), e);
    }
  }

  /**
   * Moves a ref; the caller holds the lock.
   *
   * @param to empty to remove it
   */
  RefUpdate move(
      String model, String name, Optional<String> expected, Optional<String> to, Reason reason)
      throws IOException {
    List<LogEntry> log = heal(model);
    Optional<LogEntry> repeated = repeated(reason, log);
    if (repeated.isPresent()) {
      return repeat(repeated.get(), name, to);
    }
    Optional<Stored> before = read(model, name);
    Optional<String> current = before.flatMap(stored -> stored.entry().to());
    if (!current.equals(expected)) {
      return new RefUpdate.Conflict(current);
    }
    LogEntry entry = next(log, name, current, to, reason);
    Optional<String> replaced = current.equals(to) ? before.flatMap(Stored::replaced) : current;
    ObjectNode node = StoreJson.entry(entry);
    replaced.ifPresent(snapshot -> node.put(REPLACED, snapshot));
    Placed placed = files.replace(files.ref(model, name), StoreJson.bytes(node));
    if (placed == Placed.PERHAPS) {
      return new RefUpdate.Unknown(entry, files.ref(model, name) + ": could not be synced");
    }
    try {
      append(model, List.of(entry));
    } catch (IOException e) {
      LOG.atWarn()
          .addKeyValue("model", model)
          .addKeyValue("sequence", entry.sequence())
          .addKeyValue("failure", e.toString())
          .log("The log line of a ref move is appended with the next change");
    }
    return new RefUpdate.Moved(entry);
  }

  private LogEntry next(
      List<LogEntry> log, String ref, Optional<String> from, Optional<String> to, Reason reason) {
    Instant now = clock.instant().truncatedTo(ChronoUnit.MILLIS);
    if (log.isEmpty()) {
      return new LogEntry(1, now, ref, from, to, reason);
    }
    LogEntry last = log.get(log.size() - 1);
    Instant at = last.at().isAfter(now) ? last.at() : now;
    return new LogEntry(last.sequence() + 1, at, ref, from, to, reason);
  }

  /** Logs that a snapshot is about to be removed; the caller holds the lock. */
  void logRemoval(String model, String id, Reason reason) throws IOException {
    LogEntry entry =
        next(heal(model), "snapshots/" + id, Optional.of(id), Optional.empty(), reason);
    append(model, List.of(entry));
  }

  /** The entry that was made under the reason's key. */
  Optional<LogEntry> repeated(String model, Reason reason) throws IOException {
    return reason.key().isEmpty() ? Optional.empty() : repeated(reason, log(model));
  }

  private static Optional<LogEntry> repeated(Reason reason, List<LogEntry> log) {
    return reason.key().isEmpty()
        ? Optional.empty()
        : log.stream().filter(entry -> entry.reason().key().equals(reason.key())).findFirst();
  }

  private static RefUpdate repeat(LogEntry entry, String name, Optional<String> to) {
    if (entry.ref().equals(name) && entry.to().equals(to)) {
      return new RefUpdate.Moved(entry);
    }
    throw new StoreException.Rejected(
        "the idempotency key was used for another change, entry " + entry.sequence());
  }

  /** All moves of a model's refs, oldest first. */
  List<LogEntry> log(String model) throws IOException {
    List<LogEntry> entries = logged(model);
    entries.addAll(unlogged(model, entries));
    return entries;
  }

  private List<LogEntry> logged(String model) throws IOException {
    List<LogEntry> entries = new ArrayList<>();
    byte[] bytes = logBytes(model);
    int end = endOfLines(bytes);
    for (String line : new String(bytes, 0, end, StandardCharsets.UTF_8).split("\n", -1)) {
      if (!line.isEmpty()) {
        try {
          entries.add(StoreJson.entry(StoreJson.object(line.getBytes(StandardCharsets.UTF_8))));
        } catch (StoreException.Rejected e) {
          throw new StoreException.Damaged(
              files.log(model) + ": line " + (entries.size() + 1) + " is damaged", e);
        }
      }
    }
    return entries;
  }

  private byte[] logBytes(String model) throws IOException {
    try (var in = Files.newInputStream(files.log(model), LinkOption.NOFOLLOW_LINKS)) {
      return in.readAllBytes();
    } catch (NoSuchFileException e) {
      return new byte[0];
    }
  }

  /** A line counts once its end is there: what follows the last one was torn by a crash. */
  private static int endOfLines(byte[] bytes) {
    int end = bytes.length;
    while (end > 0 && bytes[end - 1] != '\n') {
      end--;
    }
    return end;
  }

  private List<LogEntry> unlogged(String model, List<LogEntry> logged) throws IOException {
    long last = logged.isEmpty() ? 0 : logged.get(logged.size() - 1).sequence();
    return stored(model).stream()
        .map(Stored::entry)
        .filter(entry -> entry.sequence() > last)
        .sorted(Comparator.comparingLong(LogEntry::sequence))
        .toList();
  }

  private List<LogEntry> heal(String model) throws IOException {
    List<LogEntry> entries = logged(model);
    List<LogEntry> missing = unlogged(model, entries);
    if (!missing.isEmpty()) {
      append(model, missing);
      entries.addAll(missing);
    }
    return entries;
  }

  private void append(String model, List<LogEntry> entries) throws IOException {
    ByteArrayOutputStream lines = new ByteArrayOutputStream();
    for (LogEntry entry : entries) {
      lines.write(StoreJson.bytes(StoreJson.entry(entry)));
      lines.write('\n');
    }
    Path file = files.log(model);
    boolean created = !Files.exists(file);
    files.createFolders(file.getParent());
    try (FileChannel channel = files.operations().openForAppend(file)) {
      long end = endOfLines(logBytes(model));
      if (end < channel.size()) {
        files.operations().truncate(channel, end);
      }
      channel.position(end);
      files.operations().write(channel, ByteBuffer.wrap(lines.toByteArray()));
      files.operations().sync(channel);
    }
    if (created) {
      files.operations().syncFolder(file.getParent());
    }
  }
}
