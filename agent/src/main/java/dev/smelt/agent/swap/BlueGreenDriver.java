package dev.smelt.agent.swap;

import dev.smelt.agent.swap.EngineCalls.Answered;
import dev.smelt.agent.swap.SwapResult.Kept;
import dev.smelt.agent.swap.SwapResult.Served;
import dev.smelt.agent.tap.Engines;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Starts a second engine on the new weights beside the one that serves, sends new requests to it
 * once it is healthy, waits for the old one's requests in flight, and stops the old one. The only
 * way to serve weights of another shape, and so to save memory with an engine that knows nothing of
 * merged experts. An engine that says already that it serves the new weights, as after a restart of
 * the agent, is left alone.
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
  private final Engines engines;
  private final Launcher launcher;
  private final HttpClient http;

  /**
   * @param engines where the proxy sends requests, the blue or the green place
   */
  public BlueGreenDriver(BlueGreenSettings settings, Engines engines) {
    this.settings = settings;
    this.engines = engines;
    launcher = new Launcher(settings);
    http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  }

  @Override
  public SwapResult swap(Serving target, Serving previous) {
    URI old = engines.current().get(0);
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
    engines.shift(List.of(fresh));
    if (!waitUntil(() -> engines.inFlight(old) == 0, settings.drainTimeout())) {
      LOG.atWarn()
          .addKeyValue("engine", old)
          .addKeyValue("inFlight", engines.inFlight(old))
          .log("The old engine is stopped although requests are still in flight");
    }
    stop(old, previous);
    return new Served(target.snapshot());
  }

  /**
   * After a start of the agent, sends requests to the other place if only that one is healthy: a
   * swap before the start may have ended there.
   */
  public void adopt() {
    URI configured = engines.current().get(0);
    if (!isHealthy(configured) && isHealthy(other(configured))) {
      engines.shift(List.of(other(configured)));
    }
  }

  /** What an engine says that it serves, as SGLang does with {@code --weight-version}. */
  private static Optional<String> version(URI place) {
    return new EngineCalls(place, SwapSettings.defaults()).get("/model_info", PROBE)
                instanceof Answered answered
            && answered.good()
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
    try {
      HttpRequest request =
          HttpRequest.newBuilder(place.resolve(settings.healthPath())).timeout(PROBE).build();
      return http.send(request, BodyHandlers.discarding()).statusCode() == 200;
    } catch (IOException notYet) {
      return false;
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      return false;
    }
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
