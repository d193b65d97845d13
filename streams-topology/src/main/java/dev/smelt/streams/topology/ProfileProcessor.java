package dev.smelt.streams.topology;

import dev.smelt.streams.profile.Profile;
import dev.smelt.streams.profile.ProfileFormat;
import dev.smelt.streams.usage.UsageWindow;
import java.time.Duration;
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

/** Folds each closed window into the profile of its layer, and sends both on. */
final class ProfileProcessor
    extends ContextualFixedKeyProcessor<String, UsageWindow, ProfileProcessor.Update> {

  /** A window and the profile that it is part of. */
  record Update(UsageWindow window, Profile profile) {}

  /** Makes the processor and its store. */
  record Supplier(Duration halfLife)
      implements FixedKeyProcessorSupplier<String, UsageWindow, Update> {

    @Override
    public FixedKeyProcessor<String, UsageWindow, Update> get() {
      return new ProfileProcessor(halfLife);
    }

    @Override
    public Set<StoreBuilder<?>> stores() {
      return Set.of(
          Stores.keyValueStoreBuilder(
                  Stores.inMemoryKeyValueStore(RoutingTopology.PROFILES),
                  Serdes.String(),
                  ProfileFormat.serde())
              .withLoggingEnabled(RoutingTopology.CHANGELOG)
              .withCachingDisabled());
    }
  }

  private final Duration halfLife;
  private KeyValueStore<String, Profile> profiles;

  private ProfileProcessor(Duration halfLife) {
    this.halfLife = halfLife;
  }

  @Override
  public void init(FixedKeyProcessorContext<String, Update> context) {
    super.init(context);
    profiles = context.getStateStore(RoutingTopology.PROFILES);
  }

  @Override
  public void process(FixedKeyRecord<String, UsageWindow> closed) {
    UsageWindow window = closed.value();
    Profile known = profiles.get(closed.key());
    Profile profile =
        known != null && known.sameShape(window.usage())
            ? known.plus(window, halfLife)
            : Profile.of(window);
    profiles.put(closed.key(), profile);
    context().forward(closed.withValue(new Update(window, profile)));
  }
}
