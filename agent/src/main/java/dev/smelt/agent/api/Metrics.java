package dev.smelt.agent.api;

import static java.util.stream.Collectors.toList;

import com.fasterxml.jackson.annotation.JsonSubTypes;
import dev.smelt.agent.config.OtlpSettings;
import dev.smelt.agent.control.DriftPoint;
import dev.smelt.agent.control.Evidence;
import dev.smelt.agent.control.Journal;
import dev.smelt.agent.control.LoopState;
import dev.smelt.agent.control.LoopStatus;
import dev.smelt.agent.control.ModelControl;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.MultiGauge;
import io.micrometer.core.instrument.Tag;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.Timer;
import io.micrometer.core.instrument.binder.jvm.JvmGcMetrics;
import io.micrometer.core.instrument.binder.jvm.JvmMemoryMetrics;
import io.micrometer.core.instrument.binder.jvm.JvmThreadMetrics;
import io.micrometer.core.instrument.binder.system.ProcessorMetrics;
import io.micrometer.core.instrument.binder.system.UptimeMetrics;
import io.micrometer.core.instrument.composite.CompositeMeterRegistry;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import io.micrometer.registry.otlp.OtlpMeterRegistry;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import java.util.function.ToDoubleFunction;

/** The agent's figures; {@link SmeltMeter} names them all. */
public final class Metrics implements AutoCloseable {

  private static final Map<Class<?>, String> STATES = states();

  private static final List<String> GATED = List.of("full", "candidate", "active");
  private static final List<String> OUTCOMES = List.of("done", "refused", "unknown");

  private final Clock clock;
  private final PrometheusMeterRegistry prometheus =
      new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
  private final CompositeMeterRegistry registry =
      new CompositeMeterRegistry(io.micrometer.core.instrument.Clock.SYSTEM, List.of(prometheus));
  private final JvmGcMetrics garbageCollection = new JvmGcMetrics();
  private final MultiGauge layers;
  private final MultiGauge checks;
  private final Map<String, ModelControl> models = new ConcurrentHashMap<>();
  private final Map<String, AtomicReference<Double>> gates = new ConcurrentHashMap<>();
  private final Map<String, LoopState.Activating> activations = new HashMap<>();
  private final HealthChecks health;

  public Metrics(HealthChecks health, Clock clock) {
    this.health = health;
    this.clock = clock;
    new JvmMemoryMetrics().bindTo(registry);
    new JvmThreadMetrics().bindTo(registry);
    new ProcessorMetrics().bindTo(registry);
    new UptimeMetrics().bindTo(registry);
    garbageCollection.bindTo(registry);
    layers = multi(SmeltMeter.DRIFT_LAYER);
    checks = multi(SmeltMeter.READY);
  }

  /**
   * Also sends every figure to an OpenTelemetry collector, from now on. A collector that does not
   * answer is logged and asked again; nothing waits for it.
   */
  public void send(OtlpSettings collector) {
    registry.add(
        new OtlpMeterRegistry(
            OtlpExport.config(collector), io.micrometer.core.instrument.Clock.SYSTEM) {
          @Override
          protected void publish() {
            refresh();
            super.publish();
          }
        });
  }

  /** Where further meters are registered, those of the tap for example. */
  public MeterRegistry registry() {
    return registry;
  }

  /** Publishes what a loop shows; read from its status at each scrape. */
  public void watch(ModelControl model) {
    models.put(model.model(), model);
    Tags tags = Tags.of("model", model.model());
    status(SmeltMeter.DRIFT, tags, model, drift(Evidence.Drift::value));
    status(SmeltMeter.DRIFT_THRESHOLD, tags, model, drift(Evidence.Drift::threshold));
    status(SmeltMeter.BREACHED_WINDOWS, tags, model, LoopStatus::breachedWindows);
    status(SmeltMeter.PROFILE_TOKENS, tags, model, LoopStatus::profileTokens);
    gauge(SmeltMeter.STATE_AGE, tags, model, control -> age(control.state().since()));
    status(SmeltMeter.SERVED_IN_STEP, tags, model, Metrics::inStep);
    status(SmeltMeter.EXPERT_BYTES, tags.and("form", "full"), model, LoopStatus::fullExpertBytes);
    status(
        SmeltMeter.EXPERT_BYTES, tags.and("form", "active"), model, LoopStatus::activeExpertBytes);
    STATES.forEach(
        (type, name) ->
            gauge(
                SmeltMeter.STATE,
                tags.and("state", name),
                model,
                control -> type.isInstance(control.state()) ? 1 : 0));
    gauge(SmeltMeter.WINDOW_END_AGE, tags, model, Metrics.this::windowAge);
    OUTCOMES.forEach(outcome -> activation(model.model(), outcome));
    FunctionCounter.builder(
            SmeltMeter.REMERGES.meter(), model, control -> control.status().remerges())
        .tags(tags)
        .description(SmeltMeter.REMERGES.description())
        .register(registry);
  }

  /** Counts an entry of a loop's journal; a gate's figures are published too. */
  void journal(String model, Journal.Entry entry) {
    registry
        .counter(
            SmeltMeter.JOURNAL_ENTRIES.meter(),
            "model",
            model,
            "kind",
            ApiJson.lowerCase(entry.kind()))
        .increment();
    if (entry.kind() == Journal.Kind.GATE) {
      for (String of : GATED) {
        if (entry.figures().get(of) instanceof Number bits) {
          gate(model, of, bits.doubleValue());
        }
      }
    }
  }

  /** Times an activation: from the state activating to whatever comes after it. */
  synchronized void state(LoopStatus status) {
    if (status.state() instanceof LoopState.Activating activating) {
      activations.put(status.model(), activating);
      return;
    }
    LoopState.Activating ended = activations.remove(status.model());
    if (ended != null) {
      String outcome = outcome(ended, status);
      activation(status.model(), outcome)
          .record(Duration.between(ended.since(), status.state().since()).abs());
    }
  }

  private static String outcome(LoopState.Activating ended, LoopStatus status) {
    if (status.state() instanceof LoopState.Degraded) {
      return "unknown";
    }
    return status.served().equals(Optional.of(ended.to())) ? "done" : "refused";
  }

  private Timer activation(String model, String outcome) {
    return timer(SmeltMeter.ACTIVATION, Tags.of("model", model, "outcome", outcome));
  }

  private void gate(String model, String of, double bitsPerByte) {
    gates
        .computeIfAbsent(
            model + "/" + of,
            key -> {
              AtomicReference<Double> held = new AtomicReference<>(bitsPerByte);
              gauge(
                  SmeltMeter.GATE_BITS,
                  Tags.of("model", model, "of", of),
                  held,
                  AtomicReference::get);
              return held;
            })
        .set(bitsPerByte);
  }

  /** Publishes the size of the store, read at each scrape. */
  public void storeBytes(Supplier<Number> bytes) {
    gauge(SmeltMeter.STORE_BYTES, Tags.empty(), bytes, held -> held.get().doubleValue());
  }

  /** Publishes how many snapshots of a model there are, read at each scrape. */
  public void storeSnapshots(String model, Supplier<Number> snapshots) {
    gauge(
        SmeltMeter.STORE_SNAPSHOTS,
        Tags.of("model", model),
        snapshots,
        held -> held.get().doubleValue());
  }

  /** Publishes of how many tokens there are second moments, read at each scrape. */
  public void moments(String model, Supplier<Number> tokens) {
    gauge(
        SmeltMeter.MOMENTS_TOKENS,
        Tags.of("model", model),
        tokens,
        held -> held.get().doubleValue());
  }

  /** Publishes how far the stream is behind, read at each scrape. */
  public void kafkaLag(Supplier<Number> records) {
    gauge(SmeltMeter.KAFKA_LAG, Tags.empty(), records, held -> held.get().doubleValue());
  }

  void watchers(LiveEvents events) {
    gauge(SmeltMeter.API_WATCHERS, Tags.empty(), events, LiveEvents::watching);
  }

  void request(String method, int status, Duration took) {
    timer(SmeltMeter.API_REQUESTS, Tags.of("method", method, "status", Integer.toString(status)))
        .record(took);
  }

  /** All figures in Prometheus' text form. */
  String scrape() {
    refresh();
    return prometheus.scrape();
  }

  /** Brings the figures up to date whose labels change while the agent runs. */
  void refresh() {
    layers.register(
        models.values().stream().flatMap(model -> layerRows(model).stream()).collect(toList()),
        true);
    checks.register(
        health.results().stream()
            .<MultiGauge.Row<?>>map(
                result ->
                    MultiGauge.Row.of(Tags.of("check", result.name()), result.ready() ? 1 : 0))
            .collect(toList()),
        true);
  }

  @Override
  public void close() {
    garbageCollection.close();
    registry.close();
  }

  private static List<MultiGauge.Row<?>> layerRows(ModelControl model) {
    return model.drift(1).stream()
        .flatMap(point -> point.layers().stream())
        .<MultiGauge.Row<?>>map(
            layer ->
                MultiGauge.Row.of(
                    Tags.of(Tag.of("model", model.model()), Tag.of("layer", layer.block())),
                    layer.value()))
        .toList();
  }

  private double windowAge(ModelControl model) {
    List<DriftPoint> newest = model.drift(1);
    return newest.isEmpty() ? Double.NaN : age(newest.get(0).end());
  }

  private double age(Instant since) {
    return Duration.between(since, clock.instant()).toMillis() / 1e3;
  }

  private static ToDoubleFunction<LoopStatus> drift(ToDoubleFunction<Evidence.Drift> part) {
    return status -> status.drift().map(part::applyAsDouble).orElse(Double.NaN);
  }

  private static double inStep(LoopStatus status) {
    return status.served().isPresent() && status.served().equals(status.active()) ? 1 : 0;
  }

  private void status(
      SmeltMeter meter, Tags tags, ModelControl model, ToDoubleFunction<LoopStatus> figure) {
    gauge(meter, tags, model, control -> figure.applyAsDouble(control.status()));
  }

  private <T> void gauge(SmeltMeter meter, Tags tags, T of, ToDoubleFunction<T> figure) {
    Gauge.builder(meter.meter(), of, figure)
        .tags(tags)
        .description(meter.description())
        .strongReference(true)
        .register(registry);
  }

  private Timer timer(SmeltMeter meter, Tags tags) {
    return Timer.builder(meter.meter())
        .tags(tags)
        .description(meter.description())
        .register(registry);
  }

  private MultiGauge multi(SmeltMeter meter) {
    return MultiGauge.builder(meter.meter()).description(meter.description()).register(registry);
  }

  private static Map<Class<?>, String> states() {
    Map<Class<?>, String> states = new LinkedHashMap<>();
    for (JsonSubTypes.Type type : LoopState.class.getAnnotation(JsonSubTypes.class).value()) {
      states.put(type.value(), type.name());
    }
    return states;
  }
}
