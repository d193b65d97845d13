package dev.smelt.store.http;

import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.net.PemKeyCertOptions;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.Path;

/**
 * Where to listen. Any other address than a loopback one needs tokens, and TLS or the word that
 * plain text is meant.
 *
 * @param host address or name
 * @param port 0 for any free one
 * @param transport how bytes travel
 */
public record Listen(String host, int port, Transport transport) {

  /** How bytes travel. */
  public sealed interface Transport {

    /** Not encrypted; loopback only. */
    record Plain() implements Transport {}

    /** Not encrypted on any address, for example behind a proxy that encrypts. */
    record PlainOnPurpose() implements Transport {}

    /** Encrypted, with PEM files. */
    record Tls(Path certificate, Path key) implements Transport {}
  }

  /** Loopback, any free port. */
  public static Listen loopback(int port) {
    return new Listen("127.0.0.1", port, new Transport.Plain());
  }

  /**
   * Options for a server.
   *
   * @throws IllegalArgumentException if the address may not be exposed like that
   */
  public HttpServerOptions options(AccessControl access) {
    if (!isLoopback()) {
      if (!access.needsToken()) {
        throw new IllegalArgumentException(
            host
                + ": other machines could change the store; configure a token or listen on"
                + " 127.0.0.1");
      }
      if (transport instanceof Transport.Plain) {
        throw new IllegalArgumentException(
            host
                + ": tokens would travel in plain text; configure TLS or allow plain text"
                + " explicitly");
      }
    }
    HttpServerOptions options =
        new HttpServerOptions()
            .setHost(host)
            .setPort(port)
            .setIdleTimeout(120)
            .setMaxHeaderSize(16 << 10)
            .setMaxInitialLineLength(8 << 10);
    if (transport instanceof Transport.Tls tls) {
      options
          .setSsl(true)
          .setKeyCertOptions(
              new PemKeyCertOptions()
                  .setCertPath(tls.certificate().toString())
                  .setKeyPath(tls.key().toString()));
    }
    return options;
  }

  private boolean isLoopback() {
    try {
      return InetAddress.getByName(host).isLoopbackAddress();
    } catch (UnknownHostException e) {
      return false;
    }
  }
}
