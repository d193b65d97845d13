package dev.smelt.agent.control;

import dev.smelt.agent.control.Journal.Entry;
import dev.smelt.agent.control.Journal.Kind;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where the loop of one model stands and what it did. Written by the loop's thread, read by any.
 *
 * <p>Failure semantics: what {@link #content} and {@link #newest} tell is on disk. An interrupt
 * takes effect after a write, never in it. Where another agent acts, nothing is written any more.
 */
final class LoopRecord implements AutoCloseable {

  private static final Logger LOGGER = LoggerFactory.getLogger(LoopRecord.class);

  private static final Pattern BETWEEN_WORDS = Pattern.compile("(?<=[a-z])(?=[A-Z])");

  private final String model;
  private final Clock clock;
  private final Fence fence;
  private final Interruption interruption;
  private final StateFile stateFile;
  private final Journal journal;
  private final Runnable changed;
  private volatile StateFile.Content content;

  /**
   * Reads what was kept; work in hand at that time is given up.
   *
   * @param folder where the state and the journal are kept
   * @param changed called after each change of {@link #content}
   * @param told of each journal entry
   */
  LoopRecord(
      String model,
      Path folder,
      Clock clock,
      Fence fence,
      Interruption interruption,
      Runnable changed,
      Consumer<Entry> told)
      throws IOException {
    this.model = model;
    this.clock = clock;
    this.fence = fence;
    this.interruption = interruption;
    this.changed = changed;
    this.journal = Journal.open(folder.resolve("journal.jsonl"), told);
    this.stateFile = new StateFile(folder.resolve("state.json"));
    this.content = restored();
  }

  StateFile.Content content() {
    return content;
  }

  LoopState state() {
    return content.state();
  }

  /** The newest journal entries, newest first. */
  List<Entry> newest(int most) {
    return journal.newest(most);
  }

  <S extends LoopState> S enter(S next) {
    save(content.with(next));
    write(Kind.STATE, name(next.getClass()), Map.of());
    return next;
  }

  void save(StateFile.Content next) {
    guarded(() -> stateFile.write(next));
    content = next;
    changed.run();
  }

  void write(Kind kind, String message, Map<String, Object> figures) {
    Entry entry = new Entry(clock.instant(), kind, message, figures);
    guarded(() -> journal.write(entry));
  }

  private void guarded(Runnable writing) {
    interruption.shield(
        () ->
            fence.guard(
                () -> {
                  writing.run();
                  return Optional.empty();
                }));
  }

  void failed(String what, Exception e) {
    LOGGER.atError().addKeyValue("model", model).setCause(e).log("control loop failure");
    write(Kind.FAILURE, what + ": " + e.getMessage(), Map.of());
  }

  @Override
  public void close() throws IOException {
    journal.close();
  }

  private StateFile.Content restored() {
    Optional<StateFile.Content> kept = stateFile.read();
    Instant now = clock.instant();
    if (kept.isEmpty()) {
      return StateFile.Content.first(new LoopState.Observing(now));
    }
    LoopState state = kept.get().state();
    StateFile.Content next = kept.get().afterRestart(now);
    if (!next.state().equals(state)) {
      write(
          Kind.STATE,
          "stopped while "
              + name(state.getClass())
              + "; goes on as "
              + name(next.state().getClass()),
          Map.of());
    }
    return next;
  }

  /** A state as a person writes it: "awaiting approval". */
  static String name(Class<? extends LoopState> state) {
    return BETWEEN_WORDS.matcher(state.getSimpleName()).replaceAll(" ").toLowerCase(Locale.ROOT);
  }
}
