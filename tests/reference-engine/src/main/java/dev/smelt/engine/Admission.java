package dev.smelt.engine;

import io.vertx.core.Future;
import io.vertx.core.Promise;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;

/** Lets requests in, holds them while the engine is paused, and knows when none is running. */
final class Admission {

  private final int most;
  private final Deque<Promise<Void>> waiting = new ArrayDeque<>();
  private final List<Promise<Void>> drained = new ArrayList<>();
  private boolean paused;
  private int running;
  private volatile int aborts;

  /**
   * @param most requests that may run or wait at the same time
   */
  Admission(int most) {
    this.most = most;
  }

  /**
   * Completes when a request may run; it must {@link #leave} afterwards.
   *
   * @return fails with status 503 where too many wait
   */
  Future<Void> enter() {
    Promise<Void> admitted = Promise.promise();
    synchronized (this) {
      if (running + waiting.size() >= most) {
        return Future.failedFuture(
            RequestException.status(
                503, "the engine has " + most + " unfinished requests already; try again later"));
      }
      if (paused) {
        waiting.add(admitted);
        return admitted.future();
      }
      running++;
    }
    admitted.complete();
    return admitted.future();
  }

  void leave() {
    List<Promise<Void>> toComplete = List.of();
    synchronized (this) {
      running--;
      if (running == 0) {
        toComplete = List.copyOf(drained);
        drained.clear();
      }
    }
    toComplete.forEach(Promise::complete);
  }

  /** Holds new requests; those that run go on. */
  synchronized void pause() {
    paused = true;
  }

  /** Completes when none of the requests is running. */
  Future<Void> drained() {
    synchronized (this) {
      if (running > 0) {
        Promise<Void> promise = Promise.promise();
        drained.add(promise);
        return promise.future();
      }
    }
    return Future.succeededFuture();
  }

  /** Lets all waiting requests in, and new ones. */
  void resume() {
    List<Promise<Void>> admitted;
    synchronized (this) {
      paused = false;
      admitted = List.copyOf(waiting);
      waiting.clear();
      running += admitted.size();
    }
    admitted.forEach(Promise::complete);
  }

  /** Asks all running requests to end where they are. */
  synchronized void abort() {
    aborts++;
  }

  /** Changes whenever running requests are asked to end. */
  int aborts() {
    return aborts;
  }

  synchronized boolean paused() {
    return paused;
  }

  /** Requests that run or wait. */
  synchronized int unfinished() {
    return running + waiting.size();
  }
}
