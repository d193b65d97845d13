package dev.smelt.agent.tap;

import io.vertx.core.Handler;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.streams.ReadStream;
import org.jspecify.annotations.Nullable;

/** A stream whose chunks pass through a filter; back-pressure reaches the source unchanged. */
final class FilteredStream implements ReadStream<Buffer> {

  /** Changes chunks on their way; may hold bytes back until later. */
  interface Filter {
    /** What can be passed on now; an empty buffer for nothing. */
    Buffer pass(Buffer chunk);

    /** What was held back, at the end of the stream. */
    Buffer rest();
  }

  private final ReadStream<Buffer> source;
  private final Filter filter;
  private @Nullable Handler<Buffer> handler;

  FilteredStream(ReadStream<Buffer> source, Filter filter) {
    this.source = source;
    this.filter = filter;
  }

  @Override
  public ReadStream<Buffer> handler(@Nullable Handler<Buffer> newHandler) {
    handler = newHandler;
    if (newHandler == null) {
      source.handler(null);
    } else {
      source.handler(chunk -> emit(filter.pass(chunk)));
    }
    return this;
  }

  @Override
  public ReadStream<Buffer> endHandler(@Nullable Handler<Void> endHandler) {
    if (endHandler == null) {
      source.endHandler(null);
    } else {
      source.endHandler(
          end -> {
            emit(filter.rest());
            endHandler.handle(null);
          });
    }
    return this;
  }

  @Override
  public ReadStream<Buffer> exceptionHandler(@Nullable Handler<Throwable> exceptionHandler) {
    source.exceptionHandler(exceptionHandler);
    return this;
  }

  @Override
  public ReadStream<Buffer> pause() {
    source.pause();
    return this;
  }

  @Override
  public ReadStream<Buffer> resume() {
    source.resume();
    return this;
  }

  @Override
  public ReadStream<Buffer> fetch(long amount) {
    source.fetch(amount);
    return this;
  }

  private void emit(Buffer chunk) {
    Handler<Buffer> receiver = handler;
    if (receiver == null) {
      return;
    }
    if (chunk.length() > 0) {
      receiver.handle(chunk);
    } else {
      source.fetch(1);
    }
  }
}
