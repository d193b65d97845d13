package dev.smelt.agent.swap;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Collectors;

/**
 * A swap as a readable file, which is both the script of an engine and the golden record of what a
 * driver asks of it:
 *
 * <pre>
 * # a comment
 * swap snap-2 in /snapshots/snap-2 from snap-1 in /snapshots/snap-1
 *
 * > POST /pause_generation
 * > {"mode":"retract"}
 * < 200 {"status":"ok"}
 *
 * = Served[snapshot=snap-2]
 * </pre>
 *
 * <p>Instead of a status, {@code < silence} never answers, {@code < closes} closes the connection
 * and {@code < stops} closes the server too.
 */
final class Transcript implements AutoCloseable {

  private final List<String> head = new ArrayList<>();
  private final Queue<String> answers = new ArrayDeque<>();
  private final List<String> exchanges = new ArrayList<>();
  private final ExecutorService threads = Executors.newCachedThreadPool();
  private final HttpServer server;

  Transcript(Path file) throws IOException {
    for (String line : Files.readAllLines(file)) {
      if (line.startsWith("#") || line.startsWith("swap ")) {
        head.add(line);
      } else if (line.startsWith("< ")) {
        answers.add(line.substring(2));
      }
    }
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.setExecutor(threads);
    server.createContext("/", this::handle);
    server.start();
  }

  URI engine() {
    return URI.create("http://127.0.0.1:" + server.getAddress().getPort());
  }

  /** Runs the swap that the file describes and returns the transcript of what happened. */
  String play(SwapDriver driver) {
    if (answers.isEmpty()) {
      server.stop(0);
    }
    String[] words = head.get(head.size() - 1).split(" ");
    Serving target = new Serving(id(words[1]), Path.of(words[3]));
    Serving previous = new Serving(id(words[5]), Path.of(words[7]));
    SwapResult result = driver.swap(target, previous);
    String all;
    synchronized (this) {
      all = exchanges.stream().map(one -> one + "\n").collect(Collectors.joining("\n"));
    }
    return (String.join("\n", head)
            + "\n\n"
            + all
            + (all.isEmpty() ? "" : "\n")
            + "= "
            + result
            + "\n")
        .replace(engine().toString(), "http://engine");
  }

  private static String id(String word) {
    return word.equals("base") ? "" : word;
  }

  private void handle(HttpExchange exchange) throws IOException {
    String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
    String asked =
        "> "
            + exchange.getRequestMethod()
            + " "
            + exchange.getRequestURI()
            + (body.isEmpty() ? "" : "\n> " + body);
    String answer;
    synchronized (this) {
      answer = answers.isEmpty() ? "599 nothing more is expected" : answers.remove();
      exchanges.add(asked + "\n< " + answer);
    }
    switch (answer) {
      case "silence" -> {
        return;
      }
      case "closes" -> {
        exchange.close();
        return;
      }
      case "stops" -> {
        server.stop(0);
        return;
      }
      default -> {}
    }
    int space = answer.indexOf(' ');
    int status = Integer.parseInt(space < 0 ? answer : answer.substring(0, space));
    byte[] text = (space < 0 ? "" : answer.substring(space + 1)).getBytes(StandardCharsets.UTF_8);
    exchange.getResponseHeaders().set("content-type", "application/json");
    exchange.sendResponseHeaders(status, text.length == 0 ? -1 : text.length);
    exchange.getResponseBody().write(text);
    exchange.close();
  }

  @Override
  public void close() {
    server.stop(0);
    threads.shutdownNow();
  }

  static List<Path> files(String folder) {
    Path path;
    try {
      path = Path.of(Transcript.class.getResource(folder).toURI());
      try (var files = Files.list(path)) {
        return files.sorted().toList();
      }
    } catch (IOException failed) {
      throw new UncheckedIOException(failed);
    } catch (java.net.URISyntaxException impossible) {
      throw new IllegalStateException(impossible);
    }
  }
}
