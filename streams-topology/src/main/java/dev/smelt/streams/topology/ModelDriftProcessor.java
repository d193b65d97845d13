package dev.smelt.streams.topology;

import dev.smelt.streams.drift.Drift;
import dev.smelt.streams.drift.LayerEvidence;
import dev.smelt.streams.drift.LayerEvidenceFormat;
import dev.smelt.streams.drift.ModelVerdict;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/**
 * Gathers what the layers of a model say about a window, and judges them together once all have
 * spoken that spoke in the windows before. A window that stays incomplete is judged when one two
 * windows later begins to come in, or when nothing more comes for a while.
 */
final class ModelDriftProcessor extends ContextualProcessor<String, LayerEvidence, String, Drift> {

  /** A layer that has been silent for so many windows is no longer waited for. */
  private static final int SILENT_WINDOWS = 3;

  /** No model or layer has a line break in its name. */
  private static final char SEPARATOR = '\n';

  /** In place of a layer: the end of the model's latest judged window. */
  private static final String NO_LAYER = "";

  private static final String PENDING = "drift-pending";
  private static final String LAYERS = "drift-layers";

  /** Makes the processor and its stores. */
  record Supplier(RoutingConfig config)
      implements ProcessorSupplier<String, LayerEvidence, String, Drift> {

    @Override
    public Processor<String, LayerEvidence, String, Drift> get() {
      return new ModelDriftProcessor(config);
    }

    @Override
    public Set<StoreBuilder<?>> stores() {
      return Set.of(
          Stores.keyValueStoreBuilder(
                  Stores.inMemoryKeyValueStore(PENDING),
                  Serdes.String(),
                  LayerEvidenceFormat.serde())
              .withLoggingEnabled(RoutingTopology.CHANGELOG)
              .withCachingDisabled(),
          Stores.keyValueStoreBuilder(
                  Stores.inMemoryKeyValueStore(LAYERS), Serdes.String(), Serdes.Long())
              .withLoggingEnabled(RoutingTopology.CHANGELOG)
              .withCachingDisabled());
    }
  }

  private final RoutingConfig config;
  private final Map<String, Long> lastEvidenceAt = new HashMap<>();
  private KeyValueStore<String, LayerEvidence> pending;
  private KeyValueStore<String, Long> lastWindows;

  private ModelDriftProcessor(RoutingConfig config) {
    this.config = config;
  }

  @Override
  public void init(ProcessorContext<String, Drift> context) {
    super.init(context);
    pending = context.getStateStore(PENDING);
    lastWindows = context.getStateStore(LAYERS);
    try (KeyValueIterator<String, LayerEvidence> entries = pending.all()) {
      entries.forEachRemaining(
          entry -> lastEvidenceAt.put(entry.value.key().model(), context.currentSystemTimeMs()));
    }
    context.schedule(config.window(), PunctuationType.WALL_CLOCK_TIME, this::judgeIfIdle);
  }

  @Override
  public void process(Record<String, LayerEvidence> incoming) {
    LayerEvidence evidence = incoming.value();
    String model = evidence.key().model();
    long end = evidence.windowEnd().toEpochMilli();
    lastEvidenceAt.put(model, context().currentSystemTimeMs());
    long judgedUntil = judgedUntil(model);
    if (end <= judgedUntil) {
      ModelVerdict.of(List.of(evidence), config.drift()).layers().forEach(this::emit);
    } else {
      pending.put(pendingKey(model, end, evidence.key().layer()), evidence);
    }
    String layer = layerKey(model, evidence.key().layer());
    Long last = lastWindows.get(layer);
    lastWindows.put(layer, last == null ? end : Math.max(last, end));
    judgeInOrder(model, judgedUntil == 0 ? end - 1 : end - 2 * config.window().toMillis());
  }

  /** Judges windows as long as the earliest one is complete, or ends by the given time. */
  private void judgeInOrder(String model, long incompleteUntil) {
    boolean firstWindow = judgedUntil(model) == 0;
    for (var window : pendingWindows(model).entrySet()) {
      boolean complete =
          !firstWindow && window.getValue().containsAll(expected(model, window.getKey()));
      if (!complete && window.getKey() > incompleteUntil) {
        return;
      }
      judge(model, window.getKey());
    }
  }

  private void judge(String model, long end) {
    List<LayerEvidence> evidence = new ArrayList<>();
    List<String> keys = new ArrayList<>();
    try (KeyValueIterator<String, LayerEvidence> entries =
        pending.prefixScan(windowPrefix(model, end), new StringSerializer())) {
      while (entries.hasNext()) {
        KeyValue<String, LayerEvidence> entry = entries.next();
        keys.add(entry.key);
        evidence.add(entry.value);
      }
    }
    ModelVerdict verdict = ModelVerdict.of(evidence, config.drift());
    verdict.layers().forEach(this::emit);
    emit(verdict.model());
    keys.forEach(pending::delete);
    lastWindows.put(layerKey(model, NO_LAYER), end);
  }

  private void emit(Drift drift) {
    context().forward(new Record<>(drift.topicKey(), drift, drift.windowEnd().toEpochMilli()));
  }

  private void judgeIfIdle(long now) {
    lastEvidenceAt
        .entrySet()
        .removeIf(
            model -> {
              boolean idle = now - model.getValue() >= config.idleClose().toMillis();
              if (idle) {
                judgeInOrder(model.getKey(), Long.MAX_VALUE);
              }
              return idle;
            });
  }

  /** Layers that have spoken for each window that waits, in the order of the windows' ends. */
  private NavigableMap<Long, Set<String>> pendingWindows(String model) {
    NavigableMap<Long, Set<String>> windows = new TreeMap<>();
    try (KeyValueIterator<String, LayerEvidence> entries =
        pending.prefixScan(model + SEPARATOR, new StringSerializer())) {
      entries.forEachRemaining(
          entry ->
              windows
                  .computeIfAbsent(entry.value.windowEnd().toEpochMilli(), end -> new HashSet<>())
                  .add(entry.value.key().layer()));
    }
    return windows;
  }

  private Set<String> expected(String model, long end) {
    String prefix = layerKey(model, NO_LAYER);
    long earliest = end - SILENT_WINDOWS * config.window().toMillis();
    Set<String> layers = new HashSet<>();
    try (KeyValueIterator<String, Long> entries =
        lastWindows.prefixScan(prefix, new StringSerializer())) {
      while (entries.hasNext()) {
        KeyValue<String, Long> entry = entries.next();
        if (!entry.key.equals(prefix) && entry.value >= earliest) {
          layers.add(entry.key.substring(prefix.length()));
        }
      }
    }
    return layers;
  }

  private long judgedUntil(String model) {
    Long end = lastWindows.get(layerKey(model, NO_LAYER));
    return end == null ? 0 : end;
  }

  private static String layerKey(String model, String layer) {
    return model + SEPARATOR + layer;
  }

  private static String pendingKey(String model, long end, String layer) {
    return windowPrefix(model, end) + layer;
  }

  private static String windowPrefix(String model, long end) {
    return model + SEPARATOR + end + SEPARATOR;
  }
}
