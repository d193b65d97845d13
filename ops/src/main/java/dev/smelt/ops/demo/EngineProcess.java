package dev.smelt.ops.demo;

import java.io.IOException;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** The reference engine as a process of its own, ended with this one. */
public final class EngineProcess implements AutoCloseable {

  private static final String MAIN_CLASS = "dev.smelt.engine.ReferenceEngine";
  private static final String MOMENTS_SHARE = "0.5";
  private static final Duration START_LIMIT = Duration.ofSeconds(60);

  private final Process process;
  private final URI url;
  private final Thread endWithThisProcess;

  private EngineProcess(Process process, URI url) {
    this.process = process;
    this.url = url;
    this.endWithThisProcess = new Thread(process::destroyForcibly);
    Runtime.getRuntime().addShutdownHook(endWithThisProcess);
  }

  /**
   * Starts the engine and waits until it serves.
   *
   * @param checkpoint the folder of the full model
   * @param model the name to serve it under
   * @param agent where the agent will be, which moments are sent to
   * @param log where its output goes
   * @throws IOException if it ends or does not serve in time; the message shows its last words
   */
  public static EngineProcess start(Path checkpoint, String model, URI agent, Path log)
      throws IOException, InterruptedException {
    int port = freePort();
    Process process =
        new ProcessBuilder(
                List.of(
                    Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                    "-Xmx1g",
                    "-XX:+UseParallelGC",
                    "-cp",
                    System.getProperty("java.class.path"),
                    MAIN_CLASS,
                    "--checkpoint",
                    checkpoint.toString(),
                    "--model",
                    model,
                    "--port",
                    String.valueOf(port),
                    "--moments-tap",
                    agent.toString(),
                    "--moments-share",
                    MOMENTS_SHARE))
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .start();
    EngineProcess engine = new EngineProcess(process, URI.create("http://127.0.0.1:" + port));
    try {
      engine.awaitServing(log);
      return engine;
    } catch (IOException | InterruptedException | RuntimeException e) {
      engine.close();
      throw e;
    }
  }

  /** Where it listens. */
  public URI url() {
    return url;
  }

  @Override
  public void close() {
    process.destroy();
    try {
      if (!process.waitFor(10, TimeUnit.SECONDS)) {
        process.destroyForcibly();
      }
    } catch (InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
    }
    try {
      Runtime.getRuntime().removeShutdownHook(endWithThisProcess);
    } catch (IllegalStateException shuttingDown) {
      process.destroyForcibly();
    }
  }

  private void awaitServing(Path log) throws IOException, InterruptedException {
    HttpClient client = HttpClient.newHttpClient();
    HttpRequest health =
        HttpRequest.newBuilder(url.resolve("/health")).timeout(Duration.ofSeconds(2)).build();
    long deadline = System.nanoTime() + START_LIMIT.toNanos();
    while (System.nanoTime() < deadline) {
      if (!process.isAlive()) {
        throw new IOException("the reference engine ended at its start: " + lastWords(log));
      }
      try {
        if (client.send(health, HttpResponse.BodyHandlers.discarding()).statusCode() == 200) {
          return;
        }
      } catch (IOException notYet) {
        // It does not listen before the weights are loaded.
      }
      TimeUnit.MILLISECONDS.sleep(50);
    }
    throw new IOException(
        "the reference engine did not serve within "
            + START_LIMIT.toSeconds()
            + " s: "
            + lastWords(log));
  }

  private static String lastWords(Path log) throws IOException {
    List<String> lines = Files.readAllLines(log);
    return lines.isEmpty() ? "it said nothing" : lines.get(lines.size() - 1);
  }

  /** A port that nobody listens on at the moment. */
  static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0)) {
      return socket.getLocalPort();
    }
  }
}
