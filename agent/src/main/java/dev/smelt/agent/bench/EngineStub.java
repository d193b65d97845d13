package dev.smelt.agent.bench;

import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;
import java.io.IOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Base64;

/**
 * A server that answers completions as SGLang does, always the same, after the time that an engine
 * would have taken. The time passes on a timer and costs no processor, as with an engine on an
 * accelerator.
 */
final class EngineStub {

  /** The member of a request that asks for routed experts. */
  static final String ASKED = "\"return_routed_experts\":true";

  private final Vertx vertx = Vertx.vertx(new VertxOptions().setPreferNativeTransport(true));
  private final Buffer plain;
  private final Buffer tapped;
  private final long serviceMillis;
  private final HttpServer server;

  private EngineStub(ProxyBench.Shape shape, Duration service) {
    plain = answer(shape, "");
    tapped = answer(shape, ",\"sgl_ext\":{\"routed_experts\":\"" + experts(shape) + "\"}");
    serviceMillis = service.toMillis();
    server =
        vertx
            .createHttpServer(new HttpServerOptions().setHost("127.0.0.1").setPort(0))
            .requestHandler(this::answer)
            .listen()
            .await();
  }

  /** Arguments: the shape's five numbers and the service time in ms; prints the port. */
  public static void main(String[] arguments) {
    int[] numbers = Arrays.stream(arguments).mapToInt(Integer::parseInt).toArray();
    EngineStub stub =
        new EngineStub(
            new ProxyBench.Shape(numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]),
            Duration.ofMillis(numbers[5]));
    System.out.println(stub.server.actualPort());
  }

  /** The stand-in in a process of its own, so that it shares no heap with the proxy. */
  record Running(Process process, URI uri) implements AutoCloseable {
    @Override
    public void close() {
      process.destroy();
    }
  }

  static Running start(ProxyBench.Shape shape, Duration service) throws IOException {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx512m",
                "-XX:+UseParallelGC",
                "-cp",
                System.getProperty("java.class.path"),
                EngineStub.class.getName(),
                Integer.toString(shape.layers()),
                Integer.toString(shape.experts()),
                Integer.toString(shape.topK()),
                Integer.toString(shape.promptTokens()),
                Integer.toString(shape.newTokens()),
                Long.toString(service.toMillis()))
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    String port = process.inputReader().readLine();
    if (port == null) {
      throw new IOException("the stand-in for an engine does not start");
    }
    return new Running(process, URI.create("http://127.0.0.1:" + port));
  }

  private void answer(HttpServerRequest request) {
    request
        .body()
        .onSuccess(
            body -> {
              Buffer answer = body.toString().contains(ASKED) ? tapped : plain;
              if (serviceMillis == 0) {
                end(request, answer);
              } else {
                vertx.setTimer(serviceMillis, due -> end(request, answer));
              }
            });
  }

  private static void end(HttpServerRequest request, Buffer answer) {
    request.response().putHeader("content-type", "application/json").end(answer);
  }

  private static Buffer answer(ProxyBench.Shape shape, String extension) {
    return Buffer.buffer(
        "{\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"choices\":[{\"index\":0,\"text\":\""
            + "word ".repeat(shape.newTokens())
            + "\",\"finish_reason\":\"length\""
            + extension
            + "}],\"usage\":{\"prompt_tokens\":"
            + shape.promptTokens()
            + ",\"completion_tokens\":"
            + shape.newTokens()
            + "}}");
  }

  private static String experts(ProxyBench.Shape shape) {
    int rows = shape.promptTokens() + shape.newTokens() - 1;
    ByteBuffer ids =
        ByteBuffer.allocate(4 * rows * shape.layers() * shape.topK())
            .order(ByteOrder.LITTLE_ENDIAN);
    for (int row = 0; row < rows * shape.layers(); row++) {
      for (int choice = 0; choice < shape.topK(); choice++) {
        ids.putInt((row + choice) % shape.experts());
      }
    }
    return Base64.getEncoder().encodeToString(ids.array());
  }
}
