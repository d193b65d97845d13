package dev.smelt.agent.api;

import dev.smelt.agent.api.HealthChecks.Finding;
import dev.smelt.agent.config.ApiSettings;
import io.vertx.core.Vertx;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/**
 * Serves the dashboard over two simulated models, for working on it: run with the port as argument
 * and open it in a browser.
 */
final class DashboardPreview {

  private DashboardPreview() {}

  public static void main(String[] arguments) throws Exception {
    int port = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 7070;
    Clock clock = Clock.systemUTC();
    HealthChecks health = new HealthChecks();
    Metrics metrics = new Metrics(health, clock);
    LiveEvents events = new LiveEvents(metrics, clock);
    ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();
    Instant now = clock.instant();
    List<ReplayControl> models =
        List.of(
            replay(ReplayControl.BYTE_MOE, events, timer, now),
            replay(ReplayControl.LARGE, events, timer, now));
    models.forEach(metrics::watch);
    health.register("kafka", () -> Finding.well("broker 1 of 1, lag 412 records"));
    health.register("engine byte-moe", () -> Finding.well("serves what active names"));
    health.register("tap byte-moe", () -> Finding.well("10 % of requests, resting 0 s"));
    health.register(
        "engine qwen3-30b-a3b",
        () -> Finding.ill("http://127.0.0.1:30000 refuses connections; start the engine"));
    metrics.kafkaLag(() -> 412);
    metrics.storeBytes(() -> 48_211_456L);
    models.forEach(model -> metrics.storeSnapshots(model.model(), () -> model.manifests().size()));
    new AgentApi(
            Vertx.vertx(),
            new ApiSettings("127.0.0.1", port, List.of()),
            List.copyOf(models),
            events,
            health,
            metrics,
            List.of(new ReplayStore(models)))
        .start()
        .await();
    timer.scheduleAtFixedRate(() -> models.forEach(ReplayControl::tick), 2, 2, TimeUnit.SECONDS);
  }

  private static ReplayControl replay(
      ReplayControl.Shape shape, LiveEvents events, ScheduledExecutorService timer, Instant now) {
    return new ReplayControl(
            shape, events, timer, Duration.ofMillis(900), now.minus(Duration.ofHours(2)))
        .withPast(now);
  }
}
