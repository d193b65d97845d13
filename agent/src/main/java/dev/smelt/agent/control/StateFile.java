package dev.smelt.agent.control;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.datatype.jsr310.JavaTimeModule;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * What the loop of one model must remember over a restart.
 *
 * <p>Failure semantics: {@link #write} replaces the file by rename after its bytes are on disk; a
 * crash leaves the old or the new one.
 */
final class StateFile {

  /**
   * The file's content.
   *
   * @param state where the loop stands
   * @param remerges when re-merges started, oldest first
   */
  record Content(LoopState state, List<Instant> remerges) {
    Content {
      remerges = List.copyOf(remerges);
    }

    Content with(LoopState next) {
      return new Content(next, remerges);
    }

    /** Remembers one more re-merge and forgets those of over a day before. */
    Content withRemerge(Instant started) {
      List<Instant> kept = new ArrayList<>(remerges);
      kept.removeIf(earlier -> earlier.isBefore(started.minus(Policy.DAY)));
      kept.add(started);
      return new Content(state, kept);
    }

    Optional<Instant> lastRemerge() {
      return remerges.isEmpty() ? Optional.empty() : Optional.of(remerges.get(remerges.size() - 1));
    }

    int remergesSince(Instant from) {
      return (int) remerges.stream().filter(started -> started.isAfter(from)).count();
    }
  }

  private static final ObjectMapper JSON =
      new ObjectMapper()
          .registerModule(new JavaTimeModule())
          .disable(SerializationFeature.WRITE_DATES_AS_TIMESTAMPS);

  private final Path file;

  StateFile(Path file) {
    this.file = file;
  }

  /**
   * What was written last; empty at the very first start.
   *
   * @throws UncheckedIOException if it cannot be read
   */
  Optional<Content> read() {
    try {
      return Optional.of(JSON.readValue(Files.readAllBytes(file), Content.class));
    } catch (NoSuchFileException first) {
      return Optional.empty();
    } catch (IOException e) {
      throw new UncheckedIOException(
          file + ": unreadable; move it away to start observing anew: " + e.getMessage(), e);
    }
  }

  void write(Content content) {
    Path next = file.resolveSibling(file.getFileName() + ".next");
    try {
      try (FileChannel channel =
          FileChannel.open(
              next,
              StandardOpenOption.CREATE,
              StandardOpenOption.TRUNCATE_EXISTING,
              StandardOpenOption.WRITE)) {
        channel.write(ByteBuffer.wrap(JSON.writeValueAsBytes(content)));
        channel.force(true);
      }
      Files.move(next, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      throw new UncheckedIOException(file + ": cannot be written: " + e.getMessage(), e);
    }
  }
}
