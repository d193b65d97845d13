package dev.smelt.streams.topology;

import dev.smelt.streams.drift.DriftSettings;
import dev.smelt.streams.drift.LayerEvidence;
import dev.smelt.streams.drift.Reference;
import dev.smelt.streams.drift.ReferenceFormat;
import dev.smelt.streams.profile.Baseline;
import dev.smelt.streams.profile.Profile;
import dev.smelt.streams.topology.ProfileProcessor.Update;
import dev.smelt.streams.usage.Usage;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.processor.api.ContextualFixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorSupplier;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.TimestampedKeyValueStore;
import org.apache.kafka.streams.state.ValueAndTimestamp;

/** Compares each layer's profile and window with its baseline, given its ordinary variation. */
final class LayerDriftProcessor extends ContextualFixedKeyProcessor<String, Update, LayerEvidence> {

  private static final String REFERENCES = "drift-references";

  /** Makes the processor and its store; the store of baselines is that of their table. */
  record Supplier(DriftSettings settings)
      implements FixedKeyProcessorSupplier<String, Update, LayerEvidence> {

    @Override
    public FixedKeyProcessor<String, Update, LayerEvidence> get() {
      return new LayerDriftProcessor(settings);
    }

    @Override
    public Set<StoreBuilder<?>> stores() {
      return Set.of(
          Stores.keyValueStoreBuilder(
                  Stores.inMemoryKeyValueStore(REFERENCES),
                  Serdes.String(),
                  ReferenceFormat.serde())
              .withLoggingEnabled(RoutingTopology.CHANGELOG)
              .withCachingDisabled());
    }
  }

  private final DriftSettings settings;
  private KeyValueStore<String, Reference> references;
  private TimestampedKeyValueStore<String, Baseline> baselines;

  private LayerDriftProcessor(DriftSettings settings) {
    this.settings = settings;
  }

  @Override
  public void init(FixedKeyProcessorContext<String, LayerEvidence> context) {
    super.init(context);
    references = context.getStateStore(REFERENCES);
    baselines = context.getStateStore(RoutingTopology.BASELINES);
  }

  @Override
  public void process(FixedKeyRecord<String, Update> update) {
    Usage usage = update.value().window().usage();
    Profile profile = update.value().profile();
    Reference known = references.get(update.key());
    Reference earlier =
        known != null && known.experts() == usage.experts()
            ? known
            : Reference.empty(usage.experts());
    Reference reference =
        earlier.observe(
            usage.frequency(), Profile.independentRequests(usage), profile.frequency(), settings);
    references.put(update.key(), reference);
    ValueAndTimestamp<Baseline> baseline = baselines.get(update.key());
    context()
        .forward(
            update.withValue(
                LayerEvidence.of(
                    update.value().window(),
                    profile,
                    reference,
                    Optional.ofNullable(baseline).map(ValueAndTimestamp::value),
                    settings)));
  }
}
