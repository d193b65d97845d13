package dev.smelt.agent.config;

import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * The engine that serves a model.
 *
 * @param urls the base address of each replica, at least one; the proxy stands before the first
 * @param dialect whose routed-expert and weight-update interface it speaks
 * @param format the export form that is swapped in; {@code expanded} loads in every engine
 * @param timeout how long one step of a swap may take; 2 min by default
 * @param swap how the engine comes to serve other weights: {@code push} (default) exchanges them in
 *     the running engine by its own calls, {@code replace} starts a second engine beside it and
 *     sends requests there (blue/green), {@code pull} waits for an engine that follows the store's
 *     events by itself
 * @param blueGreen the second place and its commands; with {@code swap: replace} alone
 * @param apiKeyFile a file that holds the bearer token for the engine's own calls, as started with
 *     {@code --api-key}; none by default
 */
public record EngineSettings(
    List<URI> urls,
    Dialect dialect,
    ExportFormat format,
    Duration timeout,
    Swap swap,
    @Nullable BlueGreen blueGreen,
    @Nullable Path apiKeyFile) {

  /** How an engine comes to serve other weights. */
  public enum Swap {
    PUSH,
    REPLACE,
    PULL
  }

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

  /**
   * Two places for one engine, of which one serves; the first is the address in {@code urls}.
   * Commands are lists of words, in which {@code {directory}}, {@code {snapshot}}, {@code {url}}
   * and {@code {port}} are replaced; a single http or https address is called as a webhook instead.
   *
   * @param other the address of the second place
   * @param start starts an engine; may go on running as the engine itself or end with status 0
   * @param stop stops an engine; none (the default) ends what the start command runs
   * @param healthPath the path that answers 200 once an engine serves; /health by default
   * @param healthTimeout how long a new engine may take for that; 10 min by default
   * @param drainTimeout how long requests in flight at the old engine are waited for; 5 min by
   *     default
   * @param commandTimeout how long a stop command or a webhook may take; 1 min by default
   */
  public record BlueGreen(
      URI other,
      List<String> start,
      List<String> stop,
      String healthPath,
      Duration healthTimeout,
      Duration drainTimeout,
      Duration commandTimeout) {

    public BlueGreen {
      Settings.require(other != null && isAddress(other), "other", "write http://host:port");
      Settings.require(
          start != null && !start.isEmpty(), "start", "name a command or the address of a webhook");
      start = List.copyOf(start);
      stop = List.copyOf(Settings.orElse(stop, List.of()));
      healthPath = Settings.orElse(healthPath, "/health");
      Settings.require(healthPath.startsWith("/"), "healthPath", "start it with a slash");
      healthTimeout =
          Settings.positive(
              "healthTimeout", Settings.orElse(healthTimeout, Duration.ofMinutes(10)));
      drainTimeout =
          Settings.positive("drainTimeout", Settings.orElse(drainTimeout, Duration.ofMinutes(5)));
      commandTimeout =
          Settings.positive(
              "commandTimeout", Settings.orElse(commandTimeout, Duration.ofMinutes(1)));
    }
  }

  public EngineSettings {
    Settings.require(urls != null && !urls.isEmpty(), "urls", "name at least one engine address");
    urls = List.copyOf(urls);
    for (URI url : urls) {
      Settings.require(
          isAddress(url), "urls", "'" + url + "' is no address; write http://host:port");
    }
    Settings.require(dialect != null, "dialect", "say sglang or vllm");
    format = Settings.orElse(format, ExportFormat.EXPANDED);
    timeout = Settings.positive("timeout", Settings.orElse(timeout, Duration.ofMinutes(2)));
    swap = Settings.orElse(swap, Swap.PUSH);
    Settings.require(
        (swap == Swap.REPLACE) == (blueGreen != null),
        "blueGreen",
        "name the second place together with swap: replace, and only with it");
    Settings.require(
        swap != Swap.REPLACE || urls.size() == 1 && !urls.contains(blueGreen.other()),
        "urls",
        "with swap: replace name one address, another than blueGreen.other");
  }

  /** In place, without another engine beside it. */
  public EngineSettings(List<URI> urls, Dialect dialect, ExportFormat format, Duration timeout) {
    this(urls, dialect, format, timeout, null, null, null);
  }

  EngineSettings resolvedAgainst(Path folder) {
    return apiKeyFile == null
        ? this
        : new EngineSettings(
            urls,
            dialect,
            format,
            timeout,
            swap,
            blueGreen,
            folder.resolve(apiKeyFile).normalize());
  }

  private static boolean isAddress(URI url) {
    String scheme = url.getScheme() == null ? "" : url.getScheme().toLowerCase(Locale.ROOT);
    return (scheme.equals("http") || scheme.equals("https")) && url.getHost() != null;
  }
}
