package dev.smelt.store.http;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Passes connections on to a server, and cuts each once it has brought so many bytes back. */
final class BreakingRelay implements AutoCloseable {

  private static final Pattern RANGE = Pattern.compile("(?im)^range: (.+?)\\r?$");

  private final ServerSocket listening;
  private final int target;
  private final int most;
  private final List<String> ranges = new CopyOnWriteArrayList<>();

  BreakingRelay(int target, int most) throws IOException {
    this.listening = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    this.target = target;
    this.most = most;
    inBackground(this::accept);
  }

  URI uri() {
    return URI.create("http://127.0.0.1:" + listening.getLocalPort());
  }

  /** The byte ranges that were asked for, in order. */
  List<String> ranges() {
    return List.copyOf(ranges);
  }

  private interface Work {
    void run() throws IOException;
  }

  private static void inBackground(Work work) {
    Thread thread =
        new Thread(
            () -> {
              try {
                work.run();
              } catch (IOException over) {
                // The other side has closed, or this one cut the connection.
              }
            },
            "relay");
    thread.setDaemon(true);
    thread.start();
  }

  private void accept() throws IOException {
    while (!listening.isClosed()) {
      Socket client = listening.accept();
      Socket server = new Socket(InetAddress.getLoopbackAddress(), target);
      inBackground(() -> requests(client.getInputStream(), server.getOutputStream()));
      inBackground(
          () -> {
            try (client;
                server) {
              answers(server.getInputStream(), client.getOutputStream());
            }
          });
    }
  }

  private void requests(InputStream from, OutputStream to) throws IOException {
    byte[] buffer = new byte[1 << 14];
    for (int count; (count = from.read(buffer)) >= 0; ) {
      Matcher range = RANGE.matcher(new String(buffer, 0, count, StandardCharsets.ISO_8859_1));
      while (range.find()) {
        ranges.add(range.group(1));
      }
      to.write(buffer, 0, count);
    }
  }

  private void answers(InputStream from, OutputStream to) throws IOException {
    byte[] buffer = new byte[1 << 14];
    int passed = 0;
    for (int count; passed < most && (count = from.read(buffer)) >= 0; passed += count) {
      to.write(buffer, 0, count);
    }
  }

  @Override
  public void close() throws IOException {
    listening.close();
  }
}
