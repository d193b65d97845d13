package dev.smelt.agent.api;

import static org.assertj.core.api.Assertions.assertThat;

import dev.smelt.agent.api.HealthChecks.Finding;
import dev.smelt.agent.control.Journal;
import dev.smelt.agent.control.ModelControl.Request;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.Tag;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class MetricsTest {

  private static final Pattern NAME = Pattern.compile("\"(smelt_[a-z_]+)\"");

  private final HealthChecks health = new HealthChecks();
  private final Metrics metrics = new Metrics(health, Clock.systemUTC());
  private final LiveEvents events = new LiveEvents(metrics, Clock.systemUTC());
  private final ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();
  private final ReplayControl model =
      new ReplayControl(
              ReplayControl.BYTE_MOE,
              events,
              timer,
              Duration.ofMillis(5),
              Instant.now().minus(Duration.ofHours(1)))
          .withPast(Instant.now());

  @AfterEach
  void close() {
    timer.shutdownNow();
    metrics.close();
  }

  @Test
  void shouldPublishOnlyWhatTheCatalogueNames() {
    publishEverything();
    for (Meter meter : metrics.registry().getMeters()) {
      if (meter.getId().getName().startsWith("smelt")) {
        SmeltMeter known = named(meter.getId().getName()).orElseThrow();
        assertThat(meter.getId().getTags().stream().map(Tag::getKey))
            .as(known.meter())
            .containsExactlyInAnyOrderElementsOf(known.tags());
      }
    }
  }

  @Test
  void shouldExposeTheNamesThatTheCataloguePromises() {
    publishEverything();
    String exposed = metrics.scrape();
    for (SmeltMeter meter : SmeltMeter.values()) {
      if (!meter.meter().matches("smelt_(tap|ingest|proxy|usage)_.*|smelt_api_.*")) {
        meter.exposed().forEach(name -> assertThat(exposed).contains("\n" + name));
      }
    }
  }

  @Test
  void shouldNameEveryMeterThatTheSourcesRegister() throws IOException {
    Set<String> found = new HashSet<>();
    try (Stream<Path> sources = Files.walk(Path.of("src/main/java"))) {
      for (Path source : sources.filter(file -> file.toString().endsWith(".java")).toList()) {
        Matcher matcher = NAME.matcher(Files.readString(source));
        while (matcher.find()) {
          found.add(matcher.group(1));
        }
      }
    }
    found.remove("smelt_");
    assertThat(Arrays.stream(SmeltMeter.values()).map(SmeltMeter::meter)).containsAll(found);
  }

  @Test
  void shouldPublishTheFiguresOfTheNewestGate() {
    events.journal("m", gate(1.5, 1.7));
    events.journal("m", gate(1.5, 1.6));
    assertThat(metrics.scrape())
        .contains("smelt_gate_bits_per_byte{model=\"m\",of=\"candidate\"} 1.6")
        .contains("smelt_gate_bits_per_byte{model=\"m\",of=\"full\"} 1.5");
  }

  @Test
  void shouldTimeAnActivationByItsStates() {
    metrics.watch(model);
    model.rollback(Optional.empty(), new Request("test", "time it"));
    Awaitility.await()
        .until(
            () ->
                metrics
                    .scrape()
                    .contains(
                        "smelt_activation_seconds_count{model=\"byte-moe\","
                            + "outcome=\"done\"} 1"));
  }

  private void publishEverything() {
    health.register("kafka", () -> Finding.well("one broker"));
    metrics.watch(model);
    metrics.watchers(events);
    metrics.storeBytes(() -> 1);
    metrics.moments("byte-moe", () -> 4);
    metrics.storeSnapshots("byte-moe", () -> 2);
    metrics.kafkaLag(() -> 3);
    metrics.request("GET", 200, Duration.ofMillis(3));
    events.journal("byte-moe", gate(1.5, 1.7));
    metrics.refresh();
  }

  private static Journal.Entry gate(double full, double candidate) {
    return new Journal.Entry(
        Instant.now(),
        Journal.Kind.GATE,
        "judged",
        Map.of("full", full, "candidate", candidate, "weights", List.of()));
  }

  private static Optional<SmeltMeter> named(String name) {
    return Arrays.stream(SmeltMeter.values())
        .filter(meter -> meter.meter().equals(name))
        .findFirst();
  }
}
