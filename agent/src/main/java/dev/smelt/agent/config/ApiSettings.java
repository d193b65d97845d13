package dev.smelt.agent.config;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.List;

/**
 * Where the API and the dashboard are served.
 *
 * @param host the address to listen on; 127.0.0.1 by default, and nothing but loopback unless a
 *     token is configured
 * @param port the port; 7070 by default, 0 for any free one
 * @param tokens who may call; none means that everybody on this machine may do everything
 */
public record ApiSettings(String host, Integer port, List<Token> tokens) {

  static final ApiSettings DEFAULT = new ApiSettings(null, null, null);

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
  }

  private static boolean loopback(String host) {
    try {
      return InetAddress.getByName(host).isLoopbackAddress();
    } catch (UnknownHostException e) {
      return false;
    }
  }
}
