package dev.smelt.agent.control;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.datatype.jsr310.JavaTimeModule;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

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
   * @param recalled when the newest recall started
   * @param turnedDown the traffic that no better candidate was found for, while what served then
   *     still serves
   */
  record Content(
      LoopState state,
      List<Instant> remerges,
      @Nullable Instant recalled,
      @Nullable TurnedDown turnedDown) {
    Content {
      remerges = List.copyOf(remerges);
    }

    static Content first(LoopState state) {
      return new Content(state, List.of(), null, null);
    }

    Content with(LoopState next) {
      return new Content(next, remerges, recalled, turnedDown);
    }

    Content withRecall(Instant started) {
      return new Content(state, remerges, started, turnedDown);
    }

    Content with(TurnedDown traffic) {
      return new Content(state, remerges, recalled, traffic);
    }

    /** Forgets what was turned down while another snapshot served. */
    Content serving(String snapshot) {
      return turnedDownFor(snapshot).isPresent()
          ? this
          : new Content(state, remerges, recalled, null);
    }

    Optional<TurnedDown> turnedDownFor(String snapshot) {
      return Optional.ofNullable(turnedDown).filter(was -> was.serving().equals(snapshot));
    }

    /** Remembers one more re-merge and forgets those of over a day before. */
    Content withRemerge(Instant started) {
      List<Instant> kept = new ArrayList<>(remerges);
      kept.removeIf(earlier -> earlier.isBefore(started.minus(Policy.DAY)));
      kept.add(started);
      return new Content(state, kept, recalled, turnedDown);
    }

    Optional<Instant> lastRecall() {
      return Optional.ofNullable(recalled);
    }

    Optional<Instant> lastRemerge() {
      return remerges.isEmpty() ? Optional.empty() : Optional.of(remerges.get(remerges.size() - 1));
    }

    int remergesSince(Instant from) {
      return (int) remerges.stream().filter(started -> started.isAfter(from)).count();
    }
  }

  /**
   * Traffic that a candidate was made for and turned down. Drift is measured from it, so that none
   * is made again before the traffic has moved.
   *
   * @param serving the snapshot that was found good enough for it
   * @param at when
   * @param usage as a manifest keeps it ({@link Baselines})
   */
  record TurnedDown(String serving, Instant at, JsonNode usage) {}

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
      // Not a channel: an interrupt of the writing thread would close it in the middle.
      try (FileOutputStream out = new FileOutputStream(next.toFile())) {
        out.write(JSON.writeValueAsBytes(content));
        out.getFD().sync();
      }
      Files.move(next, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      throw new UncheckedIOException(file + ": cannot be written: " + e.getMessage(), e);
    }
  }
}
