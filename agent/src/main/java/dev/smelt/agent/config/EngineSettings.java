package dev.smelt.agent.config;

import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Locale;

/**
 * The engine that serves a model.
 *
 * @param urls the base address of each replica, at least one; the proxy stands before the first
 * @param dialect whose routed-expert and weight-update interface it speaks
 * @param format the export form that is swapped in; {@code expanded} loads in every engine
 * @param timeout how long one step of a swap may take; 2 min by default
 */
public record EngineSettings(
    List<URI> urls, Dialect dialect, ExportFormat format, Duration timeout) {

  /** Whose interface an engine speaks. */
  public enum Dialect {
    SGLANG,
    VLLM
  }

  /** The form of a snapshot that an engine loads. */
  public enum ExportFormat {
    EXPANDED,
    COMPACT
  }

  public EngineSettings {
    Settings.require(urls != null && !urls.isEmpty(), "urls", "name at least one engine address");
    urls = List.copyOf(urls);
    for (URI url : urls) {
      String scheme = url.getScheme() == null ? "" : url.getScheme().toLowerCase(Locale.ROOT);
      Settings.require(
          (scheme.equals("http") || scheme.equals("https")) && url.getHost() != null,
          "urls",
          "'" + url + "' is no address; write http://host:port");
    }
    Settings.require(dialect != null, "dialect", "say sglang or vllm");
    format = Settings.orElse(format, ExportFormat.EXPANDED);
    timeout = Settings.positive("timeout", Settings.orElse(timeout, Duration.ofMinutes(2)));
  }
}
