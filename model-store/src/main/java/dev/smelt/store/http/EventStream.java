package dev.smelt.store.http;

import dev.smelt.store.snapshot.LogEntry;
import dev.smelt.store.snapshot.SnapshotStore;
import dev.smelt.store.snapshot.SnapshotStore.RefMoved;
import dev.smelt.store.snapshot.StoreJson;
import io.vertx.core.Context;
import io.vertx.core.Vertx;
import io.vertx.core.WorkerExecutor;
import io.vertx.core.http.HttpServerResponse;
import java.util.List;
import java.util.function.Consumer;

/**
 * One subscriber of a model's ref moves, as server-sent events whose ids are the log's sequence
 * numbers. Moves of this process are sent at once, those of others when the log is looked at next.
 */
final class EventStream {

  private static final long LOOK_EVERY_MILLIS = 500;
  private static final long BEAT_EVERY_LOOKS = 30;

  private final Vertx vertx;
  private final WorkerExecutor workers;
  private final SnapshotStore store;
  private final String model;
  private final HttpServerResponse response;
  private final Context context;
  private final Consumer<RefMoved> listener = this::heard;
  private long sent;
  private long looks;
  private boolean looking;
  private boolean lookAgain;
  private long timer;

  EventStream(
      Vertx vertx,
      WorkerExecutor workers,
      SnapshotStore store,
      String model,
      long after,
      HttpServerResponse response) {
    this.vertx = vertx;
    this.workers = workers;
    this.store = store;
    this.model = model;
    this.sent = after;
    this.response = response;
    this.context = vertx.getOrCreateContext();
  }

  void start(Runnable whenClosed) {
    response.setChunked(true);
    response.putHeader("Content-Type", "text/event-stream");
    response.putHeader("Cache-Control", "no-store");
    response.putHeader("X-Accel-Buffering", "no");
    response.write("retry: 1000\n\n");
    store.onMove(listener);
    timer = vertx.setPeriodic(LOOK_EVERY_MILLIS, id -> tick());
    response.closeHandler(closed -> stop(whenClosed));
    look();
  }

  private void stop(Runnable whenClosed) {
    vertx.cancelTimer(timer);
    store.removeListener(listener);
    whenClosed.run();
  }

  private void heard(RefMoved moved) {
    if (moved.model().equals(model)) {
      context.runOnContext(ignored -> look());
    }
  }

  private void tick() {
    if (over()) {
      return;
    }
    looks++;
    if (looks % BEAT_EVERY_LOOKS == 0) {
      response.write(": still here\n\n");
    }
    look();
  }

  private boolean over() {
    return response.ended() || response.closed();
  }

  private void look() {
    if (looking) {
      lookAgain = true;
      return;
    }
    looking = true;
    workers
        .executeBlocking(() -> store.log(model), false)
        .onComplete(
            log -> {
              looking = false;
              if (log.succeeded()) {
                send(log.result());
              }
              if (lookAgain) {
                lookAgain = false;
                look();
              }
            });
  }

  /** A subscriber that does not keep up is cut off; it comes back with the last id that it saw. */
  private void send(List<LogEntry> log) {
    for (LogEntry entry : log) {
      if (over()) {
        return;
      }
      if (entry.sequence() > sent) {
        if (response.writeQueueFull()) {
          response.end();
          return;
        }
        sent = entry.sequence();
        response.write("id: " + sent + "\nevent: ref\ndata: " + StoreJson.entry(entry) + "\n\n");
      }
    }
  }
}
