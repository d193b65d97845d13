package dev.smelt.agent.config;

import java.time.Duration;
import java.util.Map;

/**
 * An OpenTelemetry collector that figures are sent to, beside being scraped.
 *
 * @param url where it takes metrics over HTTP, such as {@code http://127.0.0.1:4318/v1/metrics};
 *     empty (the default) sends nothing
 * @param every how often figures are sent; 1 min by default
 * @param headers sent with each request, for an authorization for example; none by default
 */
public record OtlpSettings(String url, Duration every, Map<String, String> headers) {

  static final OtlpSettings OFF = new OtlpSettings(null, null, null);

  public OtlpSettings {
    url = Settings.orElse(url, "").trim();
    Settings.require(
        url.isEmpty() || url.matches("https?://[^/\\s]+(/\\S*)?"),
        "url",
        "'" + url + "' is no address; write http://host:4318/v1/metrics");
    every = Settings.positive("every", Settings.orElse(every, Duration.ofMinutes(1)));
    headers = Map.copyOf(Settings.orElse(headers, Map.of()));
  }

  /** Whether anything is to be sent. */
  public boolean enabled() {
    return !url.isEmpty();
  }
}
