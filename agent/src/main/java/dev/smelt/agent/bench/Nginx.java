package dev.smelt.agent.bench;

import java.io.IOException;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** A small nginx as its own process, to measure beside it. */
final class Nginx implements AutoCloseable {

  private static final Path PROGRAM = Path.of("/usr/sbin/nginx");

  private final Process process;
  private final URI uri;

  private Nginx(Process process, URI uri) {
    this.process = process;
    this.uri = uri;
  }

  /**
   * Starts one, if it is installed.
   *
   * @param http directives of the http block
   * @param location directives of its only location
   * @param folder for its configuration and process number
   */
  static Optional<Nginx> start(String http, String location, Path folder)
      throws IOException, InterruptedException {
    if (!Files.isExecutable(PROGRAM)) {
      return Optional.empty();
    }
    int port;
    try (ServerSocket socket = new ServerSocket(0)) {
      port = socket.getLocalPort();
    }
    Path configuration = folder.resolve("nginx.conf");
    Files.writeString(
        configuration,
        """
        daemon off; pid %1$s/nginx.pid; error_log stderr; user root;
        events {}
        http { access_log off; %2$s
          server { listen 127.0.0.1:%3$d; location / { %4$s } } }
        """
            .formatted(folder, http, port, location));
    Process process =
        new ProcessBuilder(PROGRAM.toString(), "-c", configuration.toString())
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .start();
    Nginx nginx = new Nginx(process, URI.create("http://127.0.0.1:" + port));
    nginx.awaitListening();
    return Optional.of(nginx);
  }

  private void awaitListening() throws IOException, InterruptedException {
    Process curl =
        new ProcessBuilder(
                "curl",
                "-s",
                "--retry",
                "50",
                "--retry-connrefused",
                "--retry-delay",
                "0",
                "-o",
                "/dev/null",
                uri.toString())
            .start();
    if (curl.waitFor() != 0) {
      close();
      throw new IOException("nginx does not listen");
    }
  }

  URI uri() {
    return uri;
  }

  @Override
  public void close() {
    process.destroy();
  }
}
