package dev.smelt.agent.swap;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpServer;
import dev.smelt.agent.swap.EngineCalls.Reply;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

class EngineCallsIT {

  private static final Duration LIMIT = Duration.ofSeconds(30);

  @Test
  @Timeout(60)
  void shouldNotWaitForTheRestOfAnAnswerLongerThanTheTimeout() throws IOException {
    try (ServerSocket engine = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      CompletableFuture<Socket> stalled =
          CompletableFuture.supplyAsync(
              () -> answerInPart(engine, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"));
      URI uri = URI.create("http://127.0.0.1:" + engine.getLocalPort());

      Reply reply =
          new EngineCalls(uri, SwapSettings.defaults()).get("/health", Duration.ofMillis(300));

      assertThat(reply)
          .isEqualTo(new EngineCalls.Silent("GET " + uri + "/health", "request timed out"));
      stalled.join().close();
    }
  }

  @Test
  void shouldShowTheEngineItsKey() throws IOException {
    List<String> shown = new CopyOnWriteArrayList<>();
    HttpServer engine =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    engine.createContext(
        "/model_info",
        call -> {
          shown.add(call.getRequestHeaders().getFirst("authorization"));
          call.sendResponseHeaders(204, -1);
          call.close();
        });
    engine.start();
    try {
      URI uri = URI.create("http://127.0.0.1:" + engine.getAddress().getPort());

      new EngineCalls(uri, SwapSettings.defaults().withTimeout(LIMIT).withApiKey("s3cret"))
          .get("/model_info", LIMIT);

      assertThat(shown).containsExactly("Bearer s3cret");
    } finally {
      engine.stop(0);
    }
  }

  private static Socket answerInPart(ServerSocket engine, String part) {
    try {
      Socket socket = engine.accept();
      socket.getOutputStream().write(part.getBytes(StandardCharsets.US_ASCII));
      return socket;
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }
}
