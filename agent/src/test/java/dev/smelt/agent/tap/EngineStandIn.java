package dev.smelt.agent.tap;

import io.vertx.core.Handler;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/** A server on a free port that answers as a test says and remembers what it was asked. */
final class EngineStandIn implements AutoCloseable {

  /** A request that came in. */
  record Received(HttpServerRequest request, Buffer body) {
    String text() {
      return body.toString();
    }
  }

  private final HttpServer server;
  private final List<Received> received = new CopyOnWriteArrayList<>();
  private volatile Handler<Received> behaviour;

  EngineStandIn(Vertx vertx, Handler<Received> behaviour) {
    this.behaviour = behaviour;
    server =
        vertx
            .createHttpServer(
                new HttpServerOptions()
                    .setHost("127.0.0.1")
                    .setPort(0)
                    .setCompressionSupported(true))
            .requestHandler(
                request ->
                    request
                        .body()
                        .onSuccess(
                            body -> {
                              Received one = new Received(request, body);
                              received.add(one);
                              this.behaviour.handle(one);
                            }));
    server.listen().await();
  }

  URI uri() {
    return URI.create("http://127.0.0.1:" + server.actualPort());
  }

  List<Received> received() {
    return received;
  }

  Received last() {
    return received.get(received.size() - 1);
  }

  void behave(Handler<Received> other) {
    behaviour = other;
  }

  @Override
  public void close() {
    server.close().await();
  }

  static Handler<Received> json(int status, String body) {
    return received ->
        received
            .request()
            .response()
            .setStatusCode(status)
            .putHeader("content-type", "application/json")
            .end(body);
  }

  /** Raw little-endian int32 ids as SGLang sends them, in base64. */
  static String raw(int... ids) {
    ByteBuffer bytes = ByteBuffer.allocate(4 * ids.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asIntBuffer().put(ids);
    return Base64.getEncoder().encodeToString(bytes.array());
  }

  /** A {@code .npy} file of bytes as vLLM sends it, in base64. */
  static String npy(int tokens, int layers, int topK, int... ids) {
    String header =
        "{'descr': '|u1', 'fortran_order': False, 'shape': (%d, %d, %d), }\n"
            .formatted(tokens, layers, topK);
    Buffer file =
        Buffer.buffer()
            .appendBytes(new byte[] {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0})
            .appendShortLE((short) header.length())
            .appendString(header);
    for (int id : ids) {
      file.appendByte((byte) id);
    }
    return Base64.getEncoder().encodeToString(file.getBytes());
  }

  /** SGLang's answer to a completion of 2 prompt tokens and 1 new one. */
  static String sglang(String experts) {
    return "{\"choices\":[{\"text\":\"a\",\"sgl_ext\":{\"routed_experts\":\""
        + experts
        + "\"}}],\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":1}}";
  }

  /** vLLM's answer to a completion of 2 prompt tokens and 1 new one. */
  static String vllm(String experts) {
    return "{\"choices\":[{\"text\":\"a\",\"routed_experts\":\""
        + experts
        + "\"}],\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":1}}";
  }

  static final String PLAIN =
      "{\"choices\":[{\"text\":\"a\"}],\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":1}}";
}
