package dev.smelt.agent.api;

import dev.smelt.agent.control.Journal;
import dev.smelt.agent.control.ModelControl;
import dev.smelt.store.http.Problem;
import io.vertx.core.Context;
import io.vertx.core.Vertx;
import io.vertx.core.WorkerExecutor;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.ext.web.RoutingContext;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * {@code GET /v1/events}: everything that happens, as server-sent events.
 *
 * <p>A watcher who comes back with {@code Last-Event-ID} is told first what it missed: from memory
 * while this run remembers, else the journal entries of the time between.
 *
 * <p>Failure semantics: a watcher who does not read loses its connection once its queue is full,
 * and finds its place again by coming back.
 */
final class EventStream {

  private static final int MOST_WATCHERS = 64;
  private static final int MOST_RETOLD = 200;
  private static final int QUEUE_BYTES = 8 << 20;
  private static final long HEARTBEAT_MILLIS = TimeUnit.SECONDS.toMillis(15);

  private final Vertx vertx;
  private final LiveEvents events;
  private final List<ModelControl> models;
  private final WorkerExecutor reading;

  EventStream(Vertx vertx, LiveEvents events, List<ModelControl> models, WorkerExecutor reading) {
    this.vertx = vertx;
    this.events = events;
    this.models = models;
    this.reading = reading;
  }

  void open(RoutingContext request) {
    if (events.watching() >= MOST_WATCHERS) {
      Problem.of(503, "more than " + MOST_WATCHERS + " watch already; close a dashboard")
          .send(request);
      return;
    }
    Optional<EventId> last = EventId.parse(request.request().getHeader("Last-Event-ID"));
    reading
        .executeBlocking(() -> retold(last), false)
        .onSuccess(retold -> stream(request, last, retold))
        .onFailure(request::fail);
  }

  private void stream(RoutingContext request, Optional<EventId> last, List<Event> retold) {
    HttpServerResponse response = request.response();
    response
        .setChunked(true)
        .setWriteQueueMaxSize(QUEUE_BYTES)
        .putHeader("Content-Type", "text/event-stream; charset=utf-8")
        .putHeader("Cache-Control", "no-store")
        .putHeader("X-Accel-Buffering", "no");
    Context context = vertx.getOrCreateContext();
    Consumer<Event> watcher = event -> context.runOnContext(now -> write(response, event.frame()));
    long heartbeat =
        vertx.setPeriodic(HEARTBEAT_MILLIS, timer -> write(response, ": still here\n\n"));
    response.endHandler(ended -> forget(watcher, heartbeat));
    response.closeHandler(closed -> forget(watcher, heartbeat));
    response.write("retry: 2000\n\n");
    retold.forEach(event -> write(response, event.frame()));
    events.watch(watcher, last).forEach(event -> write(response, event.frame()));
  }

  private void forget(Consumer<Event> watcher, long heartbeat) {
    events.unwatch(watcher);
    vertx.cancelTimer(heartbeat);
  }

  private static void write(HttpServerResponse response, String text) {
    if (response.ended() || response.closed()) {
      return;
    }
    if (response.writeQueueFull()) {
      response.reset();
      return;
    }
    response.write(text);
  }

  private List<Event> retold(Optional<EventId> last) {
    Optional<Instant> gap = events.gap(last);
    List<Event> retold = new ArrayList<>();
    if (gap.isPresent()) {
      for (ModelControl model : models) {
        for (Journal.Entry entry : model.journal(MOST_RETOLD)) {
          if (entry.at().toEpochMilli() > gap.get().toEpochMilli()) {
            retold.add(events.retold(model.model(), entry));
          }
        }
      }
    }
    retold.sort(Comparator.comparingLong(event -> event.id().millis()));
    return retold;
  }
}
