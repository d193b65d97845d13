package dev.smelt.agent.config;

/**
 * The tap in front of the engine.
 *
 * @param host the address to listen on; 127.0.0.1 by default
 * @param port the port; 8000 by default, 0 for any free one
 * @param share the share of requests that are asked for routed experts; 0.1 by default
 */
public record ProxyTapSettings(String host, Integer port, Double share) {

  static final ProxyTapSettings DEFAULT = new ProxyTapSettings(null, null, null);

  public ProxyTapSettings {
    host = Settings.orElse(host, "127.0.0.1");
    port = Settings.port("port", Settings.orElse(port, 8000));
    share = Settings.share("share", Settings.orElse(share, 0.1));
  }
}
