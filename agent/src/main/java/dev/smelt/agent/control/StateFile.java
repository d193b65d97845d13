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
   * @param inVain how many of the newest re-merges in a row found nothing better than what served
   * @param recalled when the newest recall started
   * @param turnedDown the traffic that no better candidate was found for, while what served then
   *     still serves
   * @param own the loop's own activation that is under way or watched
   * @param withdrawn snapshots that engine or canary turned down, oldest first; never recalled
   * @param scheduled up to when the schedule is done with
   * @param held what a person chose, {@link LoopState.Paused} or {@link LoopState.RolledBack},
   *     while the engine is made to follow
   */
  record Content(
      LoopState state,
      List<Instant> remerges,
      int inVain,
      @Nullable Instant recalled,
      @Nullable TurnedDown turnedDown,
      @Nullable OwnActivation own,
      List<String> withdrawn,
      @Nullable Instant scheduled,
      @Nullable LoopState held) {
    Content {
      remerges = List.copyOf(remerges);
      withdrawn = withdrawn == null ? List.of() : List.copyOf(withdrawn);
    }

    static Content first(LoopState state) {
      return new Content(state, List.of(), 0, null, null, null, List.of(), null, null);
    }

    Content with(LoopState next) {
      LoopState nextHeld = switchesOver(next) ? (heldByAPerson(state) ? state : held) : null;
      return new Content(
          next, remerges, inVain, recalled, turnedDown, own, withdrawn, scheduled, nextHeld);
    }

    private static boolean switchesOver(LoopState state) {
      return state instanceof LoopState.Activating || state instanceof LoopState.Degraded;
    }

    private static boolean heldByAPerson(LoopState state) {
      return state instanceof LoopState.Paused || state instanceof LoopState.RolledBack;
    }

    /** A person chose what serves; an earlier choice of theirs that the loop holds to stays. */
    Content holding(LoopState.RolledBack chosen) {
      LoopState nextHeld = heldState().isPresent() ? held : chosen;
      return new Content(
          state, remerges, inVain, recalled, turnedDown, own, withdrawn, scheduled, nextHeld);
    }

    /** The engine does not take a snapshot: whoever chose it, it is not held to. */
    Content refused(String snapshot) {
      boolean chosen =
          held instanceof LoopState.RolledBack rolledBack && rolledBack.to().equals(snapshot);
      return new Content(
          state,
          remerges,
          inVain,
          recalled,
          turnedDown,
          own,
          withdrawn,
          scheduled,
          chosen ? null : held);
    }

    Optional<LoopState> heldState() {
      return Optional.ofNullable(held);
    }

    /** Where the loop goes on that was stopped here. */
    Content afterRestart(Instant now) {
      return with(heldState().orElseGet(() -> state.afterRestart(now)));
    }

    Content withRecall(Instant started) {
      return new Content(
          state, remerges, inVain, started, turnedDown, own, withdrawn, scheduled, held);
    }

    Content with(OwnActivation activation) {
      return new Content(
          state, remerges, inVain, recalled, turnedDown, activation, withdrawn, scheduled, held);
    }

    Content withoutOwn() {
      return new Content(
          state, remerges, inVain, recalled, turnedDown, null, withdrawn, scheduled, held);
    }

    /** Gives up the own activation: its snapshot is not to be tried again for this traffic. */
    Content withdraw(String snapshot, TurnedDown traffic) {
      List<String> all = new ArrayList<>(withdrawn);
      all.remove(snapshot);
      all.add(snapshot);
      List<String> newest = all.subList(Math.max(0, all.size() - MOST_WITHDRAWN), all.size());
      return new Content(state, remerges, inVain, recalled, traffic, null, newest, scheduled, held);
    }

    /** Forgets what was true of another snapshot only. */
    Content serving(String snapshot) {
      return new Content(
          state,
          remerges,
          inVain,
          recalled,
          turnedDownFor(snapshot).orElse(null),
          ownOf(snapshot).orElse(null),
          withdrawn,
          scheduled,
          held);
    }

    /** A re-merge found nothing better for some traffic than what serves. */
    Content inVain(TurnedDown traffic) {
      return new Content(
          state, remerges, inVain + 1, recalled, traffic, own, withdrawn, scheduled, held);
    }

    /** A re-merge found something better. */
    Content notInVain() {
      return new Content(state, remerges, 0, recalled, turnedDown, own, withdrawn, scheduled, held);
    }

    Optional<OwnActivation> ownOf(String snapshot) {
      return Optional.ofNullable(own).filter(is -> is.snapshot().equals(snapshot));
    }

    Optional<TurnedDown> turnedDownFor(String snapshot) {
      return Optional.ofNullable(turnedDown).filter(was -> was.serving().equals(snapshot));
    }

    /** Remembers one more re-merge and forgets those of over a day before. */
    Content withRemerge(Instant started) {
      List<Instant> kept = new ArrayList<>(remerges);
      kept.removeIf(earlier -> earlier.isBefore(started.minus(Policy.DAY)));
      kept.add(started);
      return new Content(state, kept, inVain, recalled, turnedDown, own, withdrawn, started, held);
    }

    Content withScheduleDone(Instant until) {
      return new Content(
          state, remerges, inVain, recalled, turnedDown, own, withdrawn, until, held);
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

  /**
   * An activation that the loop decided by itself.
   *
   * @param previous what served before
   * @param snapshot what is to serve
   * @param before how the engine served until then
   */
  record OwnActivation(String previous, String snapshot, CanaryWatch.Level before) {}

  private static final int MOST_WITHDRAWN = 64;

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
