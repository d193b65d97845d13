package dev.smelt.streams.topology;

import dev.smelt.streams.drift.Drift;
import dev.smelt.streams.drift.DriftFormat;
import dev.smelt.streams.drift.LayerEvidence;
import dev.smelt.streams.drift.LayerEvidenceFormat;
import dev.smelt.streams.profile.Baseline;
import dev.smelt.streams.profile.BaselineFormat;
import dev.smelt.streams.topology.ProfileProcessor.Update;
import dev.smelt.streams.usage.LayerKey;
import dev.smelt.streams.usage.UsageWindow;
import dev.smelt.streams.usage.UsageWindowFormat;
import java.util.Map;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Branched;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Named;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.state.Stores;

/**
 * What the traffic says, as a topology:
 *
 * <pre>
 * smelt.routing -> usage-windows -> smelt.usage
 *                      |   \\-> smelt.routing.dead
 *                  usage-profile -> layer-drift -> (by model) -> model-drift -> smelt.drift
 * smelt.baseline -----------------------^
 * </pre>
 *
 * Every operator and store is named, so that changelog and repartition topics keep their names as
 * the topology grows. Meant for exactly-once processing ({@link StreamsSettings}).
 */
public final class RoutingTopology {

  /** Store of the {@link dev.smelt.streams.profile.Profile} of each layer, for queries. */
  public static final String PROFILES = "usage-profiles";

  static final String BASELINES = "baselines";

  /** Properties of every changelog topic. */
  static final Map<String, String> CHANGELOG =
      Map.of(
          "max.message.bytes", Integer.toString(Topics.MAX_RECORD_BYTES),
          "segment.bytes", Integer.toString(64 * 1024 * 1024),
          "min.cleanable.dirty.ratio", "0.3");

  private RoutingTopology() {}

  /** The topology; pure, so that it can be tested without a broker. */
  public static Topology build(RoutingConfig config) {
    Serde<String> keys = Serdes.String();
    StreamsBuilder builder = new StreamsBuilder();
    builder.table(
        Topics.BASELINE,
        Consumed.with(keys, BaselineFormat.serde()).withName("baseline-source"),
        Materialized.<String, Baseline>as(Stores.inMemoryKeyValueStore(BASELINES))
            .withLoggingEnabled(CHANGELOG)
            .withCachingDisabled());

    Map<String, KStream<String, Object>> counted =
        builder.stream(
                Topics.ROUTING, Consumed.with(keys, Serdes.ByteArray()).withName("routing-source"))
            .process(new WindowProcessor.Supplier(config), Named.as("usage-windows"))
            .split(Named.as("routing-"))
            .branch((key, value) -> value instanceof DeadLetter, Branched.as("refused"))
            .defaultBranch(Branched.as("closed"));
    counted
        .get("routing-refused")
        .mapValues(value -> ((DeadLetter) value).value(), Named.as("dead-letters"))
        .to(Topics.DEAD, Produced.with(keys, Serdes.ByteArray()).withName("dead-sink"));
    KStream<String, UsageWindow> windows =
        counted
            .get("routing-closed")
            .mapValues(UsageWindow.class::cast, Named.as("closed-windows"));
    windows.to(Topics.USAGE, Produced.with(keys, UsageWindowFormat.serde()).withName("usage-sink"));

    KStream<String, Update> profiles =
        windows.processValues(
            new ProfileProcessor.Supplier(config.halfLife()), Named.as("usage-profile"));
    KStream<String, LayerEvidence> evidence =
        profiles.processValues(
            new LayerDriftProcessor.Supplier(config.drift()), Named.as("layer-drift"), BASELINES);
    KStream<String, Drift> drift =
        evidence
            .selectKey((key, layer) -> LayerKey.parse(key).model(), Named.as("drift-key-by-model"))
            .repartition(
                Repartitioned.<String, LayerEvidence>as("drift-by-model")
                    .withKeySerde(keys)
                    .withValueSerde(LayerEvidenceFormat.serde()))
            .process(new ModelDriftProcessor.Supplier(config), Named.as("model-drift"));
    drift.to(Topics.DRIFT, Produced.with(keys, DriftFormat.serde()).withName("drift-sink"));
    return builder.build();
  }
}
