package dev.smelt.engine;

import io.vertx.core.Context;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.core.json.JsonObject;

/** A streamed answer as server-sent events; may be written to from any thread, in order. */
final class EventStream {

  private final Context context;
  private final HttpServerResponse response;

  EventStream(Context context, HttpServerResponse response) {
    this.context = context;
    this.response = response;
  }

  void begin(String weightVersion) {
    context.runOnContext(
        now -> {
          if (open()) {
            response
                .setChunked(true)
                .putHeader("content-type", "text/event-stream; charset=utf-8")
                .putHeader("cache-control", "no-cache")
                .putHeader(CompletionRoutes.WEIGHT_VERSION, weightVersion);
          }
        });
  }

  void send(JsonObject event) {
    write(event.encode());
  }

  void end() {
    write("[DONE]");
    context.runOnContext(
        now -> {
          if (open()) {
            response.end();
          }
        });
  }

  /**
   * Breaks off. A client that has already got a part of the answer sees it end without {@code
   * [DONE]}.
   *
   * @param beforeAnything answers in its place where nothing has been sent yet
   */
  void fail(Runnable beforeAnything) {
    context.runOnContext(
        now -> {
          if (!response.headWritten()) {
            beforeAnything.run();
          } else if (open()) {
            response.reset();
          }
        });
  }

  private void write(String data) {
    context.runOnContext(
        now -> {
          if (open()) {
            response.write("data: " + data + "\n\n");
          }
        });
  }

  private boolean open() {
    return !response.closed() && !response.ended();
  }
}
