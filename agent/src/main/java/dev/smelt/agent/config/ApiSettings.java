package dev.smelt.agent.config;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Where the API and the dashboard are served.
 *
 * @param host the address to listen on; 127.0.0.1 by default, and nothing but loopback unless a
 *     token is configured
 * @param port the port; 7070 by default, 0 for any free one
 * @param tokens who may call; none means that everybody on this machine may do everything
 * @param tls how calls are encrypted; absent (the default) means not at all
 * @param plainText {@code allowed} if tokens may travel unencrypted to other machines, as behind a
 *     proxy that encrypts; {@code refused} by default
 */
public record ApiSettings(
    String host, Integer port, List<Token> tokens, @Nullable Tls tls, PlainText plainText) {

  static final ApiSettings DEFAULT = new ApiSettings(null, null, null);

  /** Whether calls from other machines may be unencrypted. */
  public enum PlainText {
    REFUSED,
    ALLOWED
  }

  /**
   * A certificate and its key.
   *
   * @param certificate PEM file with the certificate and those that signed it
   * @param key PEM file with the private key
   */
  public record Tls(Path certificate, Path key) {
    public Tls {
      Settings.require(certificate != null, "certificate", "name the PEM file of the certificate");
      Settings.require(key != null, "key", "name the PEM file of the private key");
    }

    Tls resolvedAgainst(Path folder) {
      return new Tls(folder.resolve(certificate).normalize(), folder.resolve(key).normalize());
    }
  }

  /** What a caller may do. */
  public enum Role {
    VIEWER,
    OPERATOR
  }

  /**
   * A bearer token.
   *
   * @param name who holds it, as the log names the person or program
   * @param role what the holder may do
   * @param secret the token itself, at least 16 characters
   */
  public record Token(String name, Role role, String secret) {
    public Token {
      Settings.require(name != null && !name.isBlank(), "name", "say who holds the token");
      Settings.require(role != null, "role", "say viewer or operator");
      Settings.require(
          secret != null && secret.length() >= 16, "secret", "use at least 16 characters");
    }

    /** Without the secret, since settings are logged. */
    @Override
    public String toString() {
      return "Token[name=" + name + ", role=" + role + "]";
    }
  }

  public ApiSettings {
    host = Settings.orElse(host, "127.0.0.1");
    port = Settings.port("port", Settings.orElse(port, 7070));
    tokens = List.copyOf(Settings.orElse(tokens, List.of()));
    Settings.require(
        !tokens.isEmpty() || loopback(host),
        "host",
        "'" + host + "' is open to other machines; configure a token or use 127.0.0.1");
    plainText = Settings.orElse(plainText, PlainText.REFUSED);
    Settings.require(
        tls != null || plainText == PlainText.ALLOWED || loopback(host),
        "tls",
        "tokens would travel to '"
            + host
            + "' in plain text; name certificate and key, or set plainText to allowed where"
            + " something before it encrypts");
  }

  public ApiSettings(String host, Integer port, List<Token> tokens) {
    this(host, port, tokens, null, null);
  }

  ApiSettings resolvedAgainst(Path folder) {
    return tls == null
        ? this
        : new ApiSettings(host, port, tokens, tls.resolvedAgainst(folder), plainText);
  }

  private static boolean loopback(String host) {
    try {
      return InetAddress.getByName(host).isLoopbackAddress();
    } catch (UnknownHostException e) {
      return false;
    }
  }
}
