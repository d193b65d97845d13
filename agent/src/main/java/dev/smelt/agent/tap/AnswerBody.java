package dev.smelt.agent.tap;

import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.streams.ReadStream;

/** The body of an answer, read up to a limit. */
sealed interface AnswerBody {

  /** All of it. */
  record Whole(Buffer bytes) implements AnswerBody {}

  /** More than the limit: what was read so far and then the rest, as one paused stream. */
  record TooLarge(ReadStream<Buffer> stream) implements AnswerBody {}

  /**
   * Reads a paused stream.
   *
   * @param length bytes that were announced, negative if none were
   */
  static Future<AnswerBody> read(ReadStream<Buffer> source, long length, int limit) {
    if (length > limit) {
      return Future.succeededFuture(new TooLarge(source));
    }
    Promise<AnswerBody> promise = Promise.promise();
    Buffer read = Buffer.buffer((int) Math.max(0, length));
    source.exceptionHandler(promise::tryFail);
    source.endHandler(end -> promise.tryComplete(new Whole(read)));
    source.handler(
        chunk -> {
          read.appendBuffer(chunk);
          if (read.length() > limit) {
            source.pause();
            source.handler(null);
            source.endHandler(null);
            source.exceptionHandler(null);
            promise.tryComplete(new TooLarge(new FilteredStream(source, new Prefix(read))));
          }
        });
    source.resume();
    return promise.future();
  }

  /** Puts what was read before what follows. */
  final class Prefix implements FilteredStream.Filter {
    private Buffer prefix;

    private Prefix(Buffer prefix) {
      this.prefix = prefix;
    }

    @Override
    public Buffer pass(Buffer chunk) {
      return rest().appendBuffer(chunk);
    }

    @Override
    public Buffer rest() {
      Buffer once = prefix;
      prefix = Buffer.buffer();
      return once;
    }
  }
}
