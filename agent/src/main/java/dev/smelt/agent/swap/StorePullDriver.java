package dev.smelt.agent.swap;

import dev.smelt.agent.swap.EngineCalls.Answered;
import dev.smelt.agent.swap.SwapResult.Kept;
import dev.smelt.agent.swap.SwapResult.Served;
import dev.smelt.agent.swap.SwapResult.Unknown;
import java.net.URI;
import java.time.Duration;
import java.util.Optional;

/**
 * Waits for an engine that follows the store's events and loads the active snapshot by itself. The
 * engine tells what it serves as {@code weight_version} of {@code GET /model_info}, the snapshot's
 * id or {@code base}.
 *
 * <p>Failure semantics: the engine is never told anything. If it does not arrive in time, the
 * result is kept while it says that it serves the previous snapshot, and unknown otherwise.
 */
public final class StorePullDriver implements SwapDriver {

  private static final Duration POLL = Duration.ofMillis(200);

  private final EngineCalls engine;
  private final SwapSettings settings;

  public StorePullDriver(URI engine, SwapSettings settings) {
    this.engine = new EngineCalls(engine, settings);
    this.settings = settings;
  }

  @Override
  public SwapResult swap(Serving target, Serving previous) {
    long end = System.nanoTime() + settings.loadTimeout().toNanos();
    Optional<String> version = version();
    while (!version.equals(Optional.of(target.version()))) {
      if (System.nanoTime() >= end || !Pause.of(POLL)) {
        return notArrived(version, target, previous);
      }
      version = version();
    }
    return new Served(target.snapshot());
  }

  private SwapResult notArrived(Optional<String> version, Serving target, Serving previous) {
    String reason =
        "the engine did not follow the store to %s within %s"
            .formatted(target.version(), settings.loadTimeout());
    if (version.equals(Optional.of(previous.version()))) {
      return new Kept(previous.snapshot(), reason);
    }
    return new Unknown(
        reason
            + version
                .map(other -> "; it says that it serves " + other)
                .orElse("; it does not tell what it serves"));
  }

  private Optional<String> version() {
    return engine.get("/model_info", settings.callTimeout()) instanceof Answered answered
            && answered.good()
        ? Optional.ofNullable(answered.json().path("weight_version").asText(null))
        : Optional.empty();
  }
}
