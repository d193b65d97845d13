package dev.smelt.agent.api;

import dev.smelt.agent.control.BlockTraffic;
import dev.smelt.agent.control.DriftPoint;
import dev.smelt.agent.control.Journal;
import dev.smelt.agent.control.LoopStatus;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Comparator;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArraySet;
import java.util.function.Consumer;
import java.util.stream.Stream;

/**
 * What happens in the loops, told to everybody who watches. The loops call it from any thread; it
 * never blocks on a watcher.
 *
 * <p>States and traffic are values: only the newest of each model is kept. Journal entries and
 * drift are history: the newest {@value #REMEMBERED} are kept, so that a watcher who was away for a
 * moment misses none.
 */
public final class LiveEvents {

  private static final int REMEMBERED = 1_000;

  private final Metrics metrics;
  private final Clock clock;
  private final long run;
  private final Deque<Event> history = new ArrayDeque<>();
  private final Map<String, Event> newest = new LinkedHashMap<>();
  private final Set<Consumer<Event>> watchers = new CopyOnWriteArraySet<>();
  private long sequence;

  /**
   * Nothing has happened yet.
   *
   * @param metrics where journal entries are counted and activations timed
   */
  public LiveEvents(Metrics metrics, Clock clock) {
    this.metrics = metrics;
    this.clock = clock;
    this.run = clock.millis();
  }

  /** The loop has another state, or something in its status has changed. */
  public void state(LoopStatus status) {
    metrics.state(status);
    value("state", status.model(), ApiJson.text(status));
  }

  /** The loop has written to its journal. */
  public void journal(String model, Journal.Entry entry) {
    metrics.journal(model, entry);
    history("journal", journalData(model, entry));
  }

  /** A window has closed. */
  public void drift(String model, DriftPoint point) {
    history("drift", ApiJson.text(new Drift(model, point)));
  }

  /** The profile of a model has changed. */
  public void traffic(String model, List<BlockTraffic> blocks) {
    value("traffic", model, ApiJson.text(new Traffic(model, blocks)));
  }

  /**
   * Adds a watcher.
   *
   * @param last the last event that it knows
   * @return what it has to be told first, oldest first
   */
  synchronized List<Event> watch(Consumer<Event> watcher, Optional<EventId> last) {
    watchers.add(watcher);
    boolean known = last.isPresent() && remembers(last.get());
    long after = known ? last.orElseThrow().sequence() : 0;
    Stream<Event> missed = known ? history.stream() : Stream.empty();
    return Stream.concat(missed, newest.values().stream())
        .filter(event -> event.id().sequence() > after)
        .sorted(Comparator.comparingLong(event -> event.id().sequence()))
        .toList();
  }

  /** Since when a watcher has missed what this run does not remember; empty if nothing. */
  synchronized Optional<Instant> gap(Optional<EventId> last) {
    return last.filter(id -> !remembers(id)).map(id -> Instant.ofEpochMilli(id.millis()));
  }

  void unwatch(Consumer<Event> watcher) {
    watchers.remove(watcher);
  }

  int watching() {
    return watchers.size();
  }

  /** An entry of the journal's file, told again to a watcher whose place this run does not know. */
  Event retold(String model, Journal.Entry entry) {
    return new Event(
        new EventId(entry.at().toEpochMilli(), 0, run), "journal", journalData(model, entry));
  }

  private boolean remembers(EventId last) {
    if (last.run() != run || last.sequence() > sequence) {
      return false;
    }
    Event oldest = history.peekFirst();
    return oldest == null
        || history.size() < REMEMBERED
        || last.sequence() >= oldest.id().sequence() - 1;
  }

  private synchronized void value(String type, String model, String data) {
    Event event = next(type, data);
    newest.put(type + "/" + model, event);
    tell(event);
  }

  private synchronized void history(String type, String data) {
    Event event = next(type, data);
    history.addLast(event);
    if (history.size() > REMEMBERED) {
      history.removeFirst();
    }
    tell(event);
  }

  private Event next(String type, String data) {
    sequence++;
    return new Event(new EventId(clock.millis(), sequence, run), type, data);
  }

  private void tell(Event event) {
    watchers.forEach(watcher -> watcher.accept(event));
  }

  private static String journalData(String model, Journal.Entry entry) {
    return ApiJson.text(new Journaled(model, entry));
  }

  private record Journaled(String model, Journal.Entry entry) {}

  private record Drift(String model, DriftPoint point) {}

  private record Traffic(String model, List<BlockTraffic> blocks) {}
}
