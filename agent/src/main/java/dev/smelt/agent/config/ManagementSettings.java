package dev.smelt.agent.config;

/**
 * Where health and metrics are served.
 *
 * @param host the address to listen on; 127.0.0.1 by default
 * @param port the port; 7071 by default, 0 for any free one
 * @param otlp an OpenTelemetry collector that figures are sent to
 */
public record ManagementSettings(String host, Integer port, OtlpSettings otlp) {

  static final ManagementSettings DEFAULT = new ManagementSettings(null, null, null);

  public ManagementSettings {
    host = Settings.orElse(host, "127.0.0.1");
    port = Settings.port("port", Settings.orElse(port, 7071));
    otlp = Settings.orElse(otlp, OtlpSettings.OFF);
  }
}
