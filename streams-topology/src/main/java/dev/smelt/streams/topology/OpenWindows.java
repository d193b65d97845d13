package dev.smelt.streams.topology;

import dev.smelt.streams.topology.LayerWindows.OpenWindow;
import dev.smelt.streams.usage.LayerKey;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.processor.StateStore;
import org.apache.kafka.streams.processor.StateStoreContext;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.internals.CacheFlushListener;
import org.apache.kafka.streams.state.internals.CachedStateStore;

/**
 * The open windows of all layers of a task, as objects that records are added to in place. What has
 * changed is written to a logged store just before each commit, in the same transaction as the
 * consumed offsets: adding a record costs no serialization, and a crash loses nothing.
 *
 * <p>Kafka Streams calls its own caching stores at that moment, through {@link CachedStateStore}.
 * It is the one internal interface used here; the fault tests would notice if it changed.
 */
final class OpenWindows implements StateStore, CachedStateStore<String, byte[]> {

  static final String NAME = "open-windows";

  private final KeyValueStore<String, byte[]> log;
  private final RoutingConfig config;
  private final Map<String, LayerWindows> layers = new HashMap<>();

  private OpenWindows(KeyValueStore<String, byte[]> log, RoutingConfig config) {
    this.log = log;
    this.config = config;
  }

  static StoreBuilder<OpenWindows> builder(RoutingConfig config) {
    return new Builder(
        Stores.keyValueStoreBuilder(
                Stores.inMemoryKeyValueStore(NAME), Serdes.String(), Serdes.ByteArray())
            .withLoggingEnabled(RoutingTopology.CHANGELOG)
            .withCachingDisabled(),
        config);
  }

  /** Reads what an earlier task left; to be called once the log is restored. */
  void load() {
    layers.clear();
    try (KeyValueIterator<String, byte[]> entries = log.all()) {
      while (entries.hasNext()) {
        KeyValue<String, byte[]> entry = entries.next();
        OpenWindowsFormat.restore(entry.key, entry.value, this::layer);
      }
    }
    layers.values().forEach(LayerWindows::written);
  }

  LayerWindows layer(String key) {
    LayerWindows known = layers.get(key);
    if (known == null) {
      known = new LayerWindows(LayerKey.parse(key), config);
      layers.put(key, known);
    }
    return known;
  }

  Collection<LayerWindows> layers() {
    return layers.values();
  }

  @Override
  public void flushCache() {
    for (LayerWindows layer : layers.values()) {
      if (layer.changedTally()) {
        log.put(OpenWindowsFormat.tallyKey(layer.key()), OpenWindowsFormat.write(layer.tally()));
      }
      for (String engine : layer.changedEngines()) {
        SequenceWindow sequences = layer.engines().get(engine);
        log.put(
            OpenWindowsFormat.engineKey(layer.key(), engine),
            sequences == null ? null : OpenWindowsFormat.write(sequences));
      }
      for (long start : layer.changedWindows()) {
        OpenWindow window = layer.open().get(start);
        log.put(
            OpenWindowsFormat.windowKey(layer.key(), start),
            window == null ? null : OpenWindowsFormat.write(window));
      }
      layer.written();
    }
  }

  @Override
  public void clearCache() {
    layers.clear();
  }

  @Override
  public boolean setFlushListener(
      CacheFlushListener<String, byte[]> listener, boolean sendOldValues) {
    return false;
  }

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public void init(StateStoreContext context, StateStore root) {
    layers.clear();
    log.init(context, root);
  }

  @Override
  public void flush() {
    log.flush();
  }

  @Override
  public void close() {
    layers.clear();
    log.close();
  }

  @Override
  public boolean persistent() {
    return false;
  }

  @Override
  public boolean isOpen() {
    return log.isOpen();
  }

  private record Builder(StoreBuilder<KeyValueStore<String, byte[]>> log, RoutingConfig config)
      implements StoreBuilder<OpenWindows> {

    @Override
    public OpenWindows build() {
      return new OpenWindows(log.build(), config);
    }

    @Override
    public StoreBuilder<OpenWindows> withCachingEnabled() {
      throw new UnsupportedOperationException("open windows are a cache already");
    }

    @Override
    public StoreBuilder<OpenWindows> withCachingDisabled() {
      return this;
    }

    @Override
    public StoreBuilder<OpenWindows> withLoggingEnabled(Map<String, String> topicConfig) {
      log.withLoggingEnabled(topicConfig);
      return this;
    }

    @Override
    public StoreBuilder<OpenWindows> withLoggingDisabled() {
      throw new UnsupportedOperationException("without a log, a crash would lose open windows");
    }

    @Override
    public Map<String, String> logConfig() {
      return log.logConfig();
    }

    @Override
    public boolean loggingEnabled() {
      return true;
    }

    @Override
    public String name() {
      return NAME;
    }
  }
}
