package dev.smelt.agent.swap;

import dev.smelt.agent.swap.EngineCalls.Answered;
import dev.smelt.agent.swap.SwapResult.Kept;
import dev.smelt.agent.swap.SwapResult.Served;
import java.net.URI;
import java.time.Duration;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Starts a second engine on the new weights beside the one that serves, sends new requests of all
 * agents' proxies to it once it is healthy, waits for the old one's requests in flight, and stops
 * the old one. The only way to serve weights of another shape, and so to save memory with an engine
 * that knows nothing of merged experts. An engine that says already that it serves the new weights,
 * as after a restart of the agent, is left alone.
 *
 * <p>Failure semantics: until the requests are shifted, the old engine serves untouched and the new
 * one is stopped again: kept. After that the new one serves: served, even where the old one could
 * not be drained or stopped, which is logged. What an interrupted swap left in the other place is
 * stopped before another engine is started there.
 */
public final class BlueGreenDriver implements SwapDriver {

  private static final Logger LOG = LoggerFactory.getLogger(BlueGreenDriver.class);
  private static final Duration POLL = Duration.ofMillis(200);
  private static final Duration PROBE = Duration.ofSeconds(5);

  private final BlueGreenSettings settings;
  private final SwapSettings calls;
  private final LivePlace live;
  private final Launcher launcher;

  /**
   * @param calls how the engines are asked whether they are healthy and what they serve
   * @param live where the proxies send requests, the blue or the green place
   */
  public BlueGreenDriver(BlueGreenSettings settings, SwapSettings calls, LivePlace live) {
    this.settings = settings;
    this.calls = calls;
    this.live = live;
    launcher = new Launcher(settings);
  }

  @Override
  public SwapResult swap(Serving target, Serving previous) {
    URI old = live.current();
    if (version(old).equals(Optional.of(target.version()))) {
      return new Served(target.snapshot());
    }
    URI fresh = other(old);
    launcher.clear(fresh, target);
    Outcome started = launcher.start(fresh, target);
    Outcome healthy = started instanceof Outcome.Done ? untilHealthy(fresh) : started;
    if (!(healthy instanceof Outcome.Done)) {
      stop(fresh, target);
      return new Kept(
          previous.snapshot(),
          "the engine on %s did not start: %s".formatted(fresh, healthy.problem()));
    }
    Outcome shifted = live.shift(fresh);
    if (!(shifted instanceof Outcome.Done)) {
      stop(fresh, target);
      return new Kept(previous.snapshot(), shifted.problem());
    }
    if (!waitUntil(() -> live.settled(fresh), settings.drainTimeout())) {
      LOG.atWarn()
          .addKeyValue("engine", old)
          .log("The old engine is stopped although requests are still in flight");
    }
    stop(old, previous);
    return new Served(target.snapshot());
  }

  /**
   * After a start of the agent, sends requests to the other place if only that one is healthy: a
   * swap before the start may have ended there without the shift being told.
   */
  public void adopt() {
    URI told = live.current();
    if (!isHealthy(told) && isHealthy(other(told))) {
      Outcome shifted = live.shift(other(told));
      if (!(shifted instanceof Outcome.Done)) {
        LOG.atWarn()
            .addKeyValue("reason", shifted.problem())
            .log("Requests cannot be sent to the only healthy engine");
      }
    }
  }

  /** What an engine says that it serves, as SGLang does with {@code --weight-version}. */
  private Optional<String> version(URI place) {
    return calls(place).get("/model_info", PROBE) instanceof Answered answered && answered.good()
        ? Optional.ofNullable(answered.json().path("weight_version").asText(null))
        : Optional.empty();
  }

  private URI other(URI place) {
    return place.equals(settings.blue()) ? settings.green() : settings.blue();
  }

  private void stop(URI place, Serving serving) {
    Outcome stopped = launcher.stop(place, serving);
    if (!(stopped instanceof Outcome.Done)) {
      LOG.atWarn()
          .addKeyValue("engine", place)
          .addKeyValue("reason", stopped.problem())
          .log("An engine that serves nobody may still be running");
    }
  }

  private Outcome untilHealthy(URI place) {
    boolean healthy =
        waitUntil(
            () -> isHealthy(place) || !(launcher.alive(place) instanceof Outcome.Done),
            settings.healthTimeout());
    if (!(launcher.alive(place) instanceof Outcome.Done)) {
      return launcher.alive(place);
    }
    return healthy
        ? Outcome.done()
        : new Outcome.Failed("not healthy within " + settings.healthTimeout());
  }

  private boolean isHealthy(URI place) {
    return calls(place).get(settings.healthPath(), PROBE) instanceof Answered answered
        && answered.status() == 200;
  }

  private EngineCalls calls(URI place) {
    return new EngineCalls(place, calls);
  }

  private static boolean waitUntil(BooleanSupplier condition, Duration timeout) {
    long end = System.nanoTime() + timeout.toNanos();
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() >= end || !Pause.of(POLL)) {
        return false;
      }
    }
    return true;
  }
}
