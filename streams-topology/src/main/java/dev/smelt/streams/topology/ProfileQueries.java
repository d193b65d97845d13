package dev.smelt.streams.topology;

import dev.smelt.streams.profile.Profile;
import dev.smelt.streams.usage.LayerKey;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyQueryMetadata;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.errors.InvalidStateStoreException;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.ReadOnlyKeyValueStore;

/** Asks a running topology for the profiles of layers. */
public final class ProfileQueries {

  /** The answer to a question about one layer. */
  public sealed interface Answer {}

  /** The profile, from this instance. */
  public record Found(Profile profile) implements Answer {}

  /** No window of the layer has closed yet. */
  public record NoTraffic() implements Answer {}

  /** Another instance has the layer; ask it at the address that it advertises. */
  public record Elsewhere(String host, int port) implements Answer {}

  /**
   * Nobody can answer now: the topology is starting, stopped, or handing the layer from one
   * instance to another. Ask again.
   */
  public record Unavailable(String why) implements Answer {}

  private final KafkaStreams streams;

  public ProfileQueries(KafkaStreams streams) {
    this.streams = streams;
  }

  /** The profile of one layer, or where to ask for it. */
  public Answer profile(LayerKey key) {
    try {
      KeyQueryMetadata owner =
          streams.queryMetadataForKey(
              RoutingTopology.PROFILES, key.toString(), new StringSerializer());
      if (owner == null || owner.equals(KeyQueryMetadata.NOT_AVAILABLE)) {
        return new Unavailable("the owner of " + key + " isn't known yet");
      }
      boolean here =
          streams.metadataForLocalThreads().stream()
              .flatMap(thread -> thread.activeTasks().stream())
              .flatMap(task -> task.topicPartitions().stream())
              .anyMatch(
                  partition ->
                      partition.topic().equals(Topics.ROUTING)
                          && partition.partition() == owner.partition());
      if (!here) {
        return new Elsewhere(owner.activeHost().host(), owner.activeHost().port());
      }
      Profile profile = store().get(key.toString());
      return profile == null ? new NoTraffic() : new Found(profile);
    } catch (InvalidStateStoreException | IllegalStateException notNow) {
      return new Unavailable(String.valueOf(notNow.getMessage()));
    }
  }

  /**
   * The profiles of a model's layers that this instance has, in no order.
   *
   * @throws InvalidStateStoreException if the topology isn't running
   */
  public List<Profile> localProfiles(String model) {
    List<Profile> profiles = new ArrayList<>();
    try (KeyValueIterator<String, Profile> entries = store().all()) {
      entries.forEachRemaining(
          entry -> {
            if (entry.value.key().model().equals(model)) {
              profiles.add(entry.value);
            }
          });
    }
    return profiles;
  }

  private ReadOnlyKeyValueStore<String, Profile> store() {
    return streams.store(
        StoreQueryParameters.fromNameAndType(
            RoutingTopology.PROFILES, QueryableStoreTypes.keyValueStore()));
  }
}
