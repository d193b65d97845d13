package dev.smelt.store.http;

import dev.smelt.store.snapshot.BlobWriter;
import dev.smelt.store.snapshot.SnapshotStore;
import io.vertx.core.Future;
import io.vertx.core.Promise;
import io.vertx.core.WorkerExecutor;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.ext.web.handler.HttpException;
import java.nio.ByteBuffer;

/** Streams a request's body into a blob, one buffer at a time, without holding it in memory. */
final class BlobUpload {

  private final HttpServerRequest request;
  private final WorkerExecutor workers;
  private final long mostBytes;
  private final Promise<String> done = Promise.promise();

  BlobUpload(HttpServerRequest request, WorkerExecutor workers, long mostBytes) {
    this.request = request;
    this.workers = workers;
    this.mostBytes = mostBytes;
  }

  /** The request must be paused. */
  Future<String> into(SnapshotStore store, String digest) {
    return workers
        .executeBlocking(store::receive, false)
        .compose(
            writer ->
                receive(writer, digest)
                    .eventually(
                        () ->
                            workers.executeBlocking(
                                () -> {
                                  writer.close();
                                  return writer;
                                },
                                false)));
  }

  private Future<String> receive(BlobWriter writer, String digest) {
    request.exceptionHandler(done::tryFail);
    request.handler(buffer -> append(writer, buffer));
    request.endHandler(
        end ->
            workers
                .executeBlocking(() -> writer.finishAs(digest), false)
                .onSuccess(done::tryComplete)
                .onFailure(done::tryFail));
    request.resume();
    return done.future();
  }

  private void append(BlobWriter writer, Buffer buffer) {
    request.pause();
    workers
        .executeBlocking(
            () -> {
              if (writer.length() + buffer.length() > mostBytes) {
                throw new HttpException(
                    413, "the blob is longer than the limit of " + mostBytes + " bytes");
              }
              return writer.write(ByteBuffer.wrap(buffer.getBytes()));
            },
            false)
        .onSuccess(written -> request.resume())
        .onFailure(done::tryFail);
  }
}
