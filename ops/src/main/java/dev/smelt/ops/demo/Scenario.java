package dev.smelt.ops.demo;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.smelt.agent.Agent;
import dev.smelt.agent.control.DriftPoint;
import dev.smelt.agent.control.Journal;
import dev.smelt.agent.control.LoopStatus;
import dev.smelt.agent.control.ModelControl;
import dev.smelt.agent.inference.ByteProgress;
import dev.smelt.agent.inference.Measurement;
import dev.smelt.agent.inference.MoeModel;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.SnapshotStore;
import java.io.IOException;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

/**
 * The story that the demo tells: traffic of one kind, a shift to another, back again, and a
 * rollback, against a running agent and engine.
 */
final class Scenario {

  private static final Duration LONGEST_FIRST_MERGE = Duration.ofSeconds(120);
  private static final Duration LONGEST_PHASE = Duration.ofSeconds(120);
  private static final Duration SHORTEST_PHASE = Duration.ofSeconds(20);
  private static final Duration LOOK = Duration.ofMillis(200);
  private static final int CALM_WINDOWS = 3;
  private static final int MEASURED_BYTES = 16 * 1024;
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Agent agent;
  private final String model;
  private final Path checkpoint;
  private final Clients clients;
  private final Progress progress;
  private final SwapWatch swaps;
  private final Map<String, Double> measured = new HashMap<>();

  private record Ended(
      String name,
      List<Domain> domains,
      Manifest snapshot,
      List<DriftPoint> drift,
      double seconds) {}

  Scenario(Agent agent, String model, Path checkpoint, Clients clients, Progress progress) {
    this.agent = agent;
    this.model = model;
    this.checkpoint = checkpoint;
    this.clients = clients;
    this.progress = progress;
    this.swaps = new SwapWatch(control());
  }

  /**
   * Runs it all.
   *
   * @param first the domains of phase A, which the clients send already
   * @param second those of phase B
   */
  Report run(List<Domain> first, List<Domain> second) throws IOException, InterruptedException {
    Manifest fullModel = awaitFirst();
    progress.step("phase A: " + names(first) + "; waiting for the first snapshot");
    Ended a = phase("A", first, () -> !active().id().equals(fullModel.id()), LONGEST_FIRST_MERGE);
    Manifest staticOnce = a.snapshot();
    if (staticOnce.fullModel()) {
      throw new IllegalStateException(
          "no snapshot became active in phase A: " + control().status().decision());
    }

    clients.shiftTo(second);
    long shifted = System.nanoTime();
    progress.step("phase B: the traffic shifts to " + names(second));
    Ended b = phase("B", second, () -> adaptedTo(staticOnce), LONGEST_PHASE);
    Optional<Long> adapted = swaps.lastSwapAfter(shifted);

    clients.shiftTo(first);
    long shiftedBack = System.nanoTime();
    progress.step("phase A again: the traffic shifts back to " + names(first));
    Ended back = phase("A again", first, () -> adaptedTo(b.snapshot()), LONGEST_PHASE);

    Optional<Long> recalled =
        back.snapshot().id().equals(staticOnce.id())
            ? swaps.lastSwapAfter(shiftedBack)
            : Optional.empty();

    progress.step("rolling back to the snapshot before");
    Report.Rollback rollback = rollBack(back.snapshot());
    LoopStatus status = control().status();
    clients.close();
    swaps.close();

    progress.step("measuring bits per byte of the full, static and adaptive models");
    List<Report.Phase> phases = new ArrayList<>();
    for (Ended phase : List.of(a, b, back)) {
      phases.add(report(phase, staticOnce));
    }
    return new Report(
        phases,
        new Report.ExpertBytes(status.fullExpertBytes(), back.snapshot().bytes()),
        new Report.Requests(clients.served(), clients.failed()),
        swaps.times().latency(clients.answered()),
        remerges(),
        adapted.map(at -> (at - shifted) / 1e9).orElse(null),
        recalled.map(at -> (at - shiftedBack) / 1e9).orElse(null),
        rollback);
  }

  /** The snapshot that stands for the full model, once the loop has published it. */
  private Manifest awaitFirst() throws InterruptedException {
    while (control().status().active().isEmpty()) {
      TimeUnit.MILLISECONDS.sleep(LOOK.toMillis());
    }
    return active();
  }

  private Ended phase(String name, List<Domain> domains, BooleanSupplier settled, Duration longest)
      throws InterruptedException {
    long begun = System.nanoTime();
    int windowsBefore = control().drift(Integer.MAX_VALUE).size();
    while (elapsed(begun).compareTo(longest) < 0
        && (elapsed(begun).compareTo(SHORTEST_PHASE) < 0 || !settled.getAsBoolean())) {
      TimeUnit.MILLISECONDS.sleep(LOOK.toMillis());
      progress.status(describe(control().status()));
    }
    List<DriftPoint> windows = control().drift(Integer.MAX_VALUE);
    return new Ended(
        name,
        domains,
        active(),
        windows.subList(Math.min(windowsBefore, windows.size()), windows.size()),
        elapsed(begun).toMillis() / 1000.0);
  }

  /** Whether another snapshot serves and drift from it has stayed calm. */
  private boolean adaptedTo(Manifest before) {
    List<DriftPoint> newest = control().drift(CALM_WINDOWS);
    return !active().id().equals(before.id())
        && newest.size() == CALM_WINDOWS
        && newest.stream().noneMatch(DriftPoint::breached);
  }

  private Report.Rollback rollBack(Manifest from) throws IOException, InterruptedException {
    String to = control().status().previous().orElseThrow();
    Map<String, String> before = digests(agent.store().manifest(model, to));
    HttpResponse<String> answer =
        HttpClient.newHttpClient()
            .send(
                HttpRequest.newBuilder(agent.api().resolve("/v1/models/" + model + "/rollback"))
                    .timeout(Duration.ofMinutes(1))
                    .header("content-type", "application/json")
                    .POST(
                        HttpRequest.BodyPublishers.ofString(
                            JSON.writeValueAsString(Map.of("reason", "the end of the demo"))))
                    .build(),
                HttpResponse.BodyHandlers.ofString());
    if (answer.statusCode() / 100 != 2) {
      JsonNode problem = JSON.readTree(answer.body());
      throw new IllegalStateException(
          "the rollback was not done: " + problem.path("detail").asText(answer.body()));
    }
    String serves = control().status().served().orElse("nothing known");
    boolean identical =
        serves.equals(to)
            && before.equals(digests(agent.store().manifest(model, serves)))
            && before.values().stream().allMatch(this::intact);
    progress.step(
        "the engine serves " + serves + " again, digests " + (identical ? "identical" : "DIFFER"));
    return new Report.Rollback(from.id(), serves, identical);
  }

  private boolean intact(String digest) {
    return agent.store().intact(digest);
  }

  private static Map<String, String> digests(Manifest snapshot) {
    Map<String, String> digests = new HashMap<>();
    snapshot.tensors().forEach((name, tensor) -> digests.put(name, tensor.digest()));
    return digests;
  }

  private Report.Phase report(Ended phase, Manifest staticOnce) throws IOException {
    double last = phase.drift().isEmpty() ? 0 : phase.drift().get(phase.drift().size() - 1).value();
    double peak = phase.drift().stream().mapToDouble(DriftPoint::value).max().orElse(0);
    return new Report.Phase(
        phase.name(),
        phase.domains().stream().map(Domain::name).toList(),
        new Report.BitsPerByte(
            bitsPerByte(Optional.empty(), phase.domains()),
            bitsPerByte(Optional.of(staticOnce), phase.domains()),
            bitsPerByte(Optional.of(phase.snapshot()), phase.domains())),
        last,
        peak,
        phase.snapshot().id(),
        phase.seconds());
  }

  private double bitsPerByte(Optional<Manifest> snapshot, List<Domain> domains) throws IOException {
    String key = snapshot.map(Manifest::id).orElse("full") + names(domains);
    Double known = measured.get(key);
    if (known != null) {
      return known;
    }
    SnapshotStore store = agent.store();
    try (Checkpoint base = Checkpoint.open(checkpoint)) {
      MoeModel loaded =
          snapshot
              .map(manifest -> MoeModel.load(base, store.tensors(manifest)))
              .orElseGet(() -> MoeModel.load(base));
      double bits =
          Measurement.of(
                  loaded,
                  domains.stream().map(domain -> domain.measuredText(MEASURED_BYTES)).toList(),
                  ByteProgress.NONE)
              .score()
              .bitsPerByte();
      measured.put(key, bits);
      progress.status(String.format(Locale.ROOT, "%s: %.3f", key, bits));
      return bits;
    }
  }

  private int remerges() {
    return (int)
        control().journal(Integer.MAX_VALUE).stream()
            .filter(
                entry -> entry.kind() == Journal.Kind.GATE && entry.message().startsWith("passed"))
            .count();
  }

  private Manifest active() {
    return agent.store().manifest(model, control().status().active().orElseThrow());
  }

  private ModelControl control() {
    return agent.control(model);
  }

  private String describe(LoopStatus status) {
    return String.format(
        Locale.ROOT,
        "%d requests served, %d failed; %s; %s",
        clients.served(),
        clients.failed(),
        status.state().getClass().getSimpleName().toLowerCase(Locale.ROOT),
        status.decision());
  }

  private static String names(List<Domain> domains) {
    return String.join(" and ", domains.stream().map(Domain::name).toList());
  }

  private static Duration elapsed(long begun) {
    return Duration.ofNanos(System.nanoTime() - begun);
  }
}
