package dev.smelt.streams.topology;

import dev.smelt.streams.drift.Drift;
import dev.smelt.streams.drift.DriftFormat;
import dev.smelt.streams.drift.LayerDrift;
import dev.smelt.streams.drift.ModelDrift;
import dev.smelt.streams.profile.Baseline;
import dev.smelt.streams.profile.BaselineFormat;
import dev.smelt.streams.profile.Profile;
import dev.smelt.streams.usage.Combined;
import dev.smelt.streams.usage.Decisions;
import dev.smelt.streams.usage.LayerKey;
import dev.smelt.streams.usage.Usage;
import dev.smelt.streams.usage.UsageRecord;
import dev.smelt.streams.usage.UsageRecordFormat;
import dev.smelt.streams.usage.UsageWindow;
import dev.smelt.streams.usage.UsageWindowFormat;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.TestInputTopic;
import org.apache.kafka.streams.TestOutputTopic;
import org.apache.kafka.streams.TopologyTestDriver;
import org.apache.kafka.streams.test.TestRecord;

/** The topology without a broker, at instants that the test chooses. */
final class TopologyFixture implements AutoCloseable {

  static final Instant EPOCH = Instant.parse("2026-03-01T12:00:00Z");
  static final LayerKey LAYER = new LayerKey("mixtral", "model.layers.0.block_sparse_moe");
  static final int EXPERTS = 4;
  static final int TOP_K = 2;
  static final String ENGINE = "engine-1";

  private final TopologyTestDriver driver;
  private final TestInputTopic<String, byte[]> routing;
  private final TestInputTopic<String, Baseline> baselines;
  private final TestOutputTopic<String, UsageWindow> usage;
  private final TestOutputTopic<String, byte[]> dead;
  private final TestOutputTopic<String, Drift> drift;
  private long sequence;

  TopologyFixture(RoutingConfig config) {
    Properties properties = new Properties();
    properties.put(StreamsConfig.APPLICATION_ID_CONFIG, "test");
    properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    driver = new TopologyTestDriver(RoutingTopology.build(config), properties, EPOCH);
    routing =
        driver.createInputTopic(Topics.ROUTING, new StringSerializer(), new ByteArraySerializer());
    baselines =
        driver.createInputTopic(
            Topics.BASELINE, new StringSerializer(), BaselineFormat.serde().serializer());
    usage =
        driver.createOutputTopic(
            Topics.USAGE, new StringDeserializer(), UsageWindowFormat.serde().deserializer());
    dead =
        driver.createOutputTopic(
            Topics.DEAD, new StringDeserializer(), new ByteArrayDeserializer());
    drift =
        driver.createOutputTopic(
            Topics.DRIFT, new StringDeserializer(), DriftFormat.serde().deserializer());
  }

  static RoutingConfig config() {
    return new RoutingConfig(
        Duration.ofSeconds(10),
        Duration.ofSeconds(5),
        Duration.ofSeconds(30),
        Duration.ofMinutes(5),
        Duration.ofDays(1),
        RoutingConfig.DEFAULT.drift());
  }

  static Usage usage(int... ids) {
    return Usage.accumulator(EXPERTS, TOP_K).add(ids, ids.length / TOP_K).addRequests(1).build();
  }

  UsageRecord record(Instant at, Decisions decisions) {
    return new UsageRecord(LAYER, ENGINE, "", sequence++, at, at, decisions);
  }

  UsageRecord record(double seconds, int... ids) {
    return record(at(seconds), new Combined(usage(ids)));
  }

  static Instant at(double seconds) {
    return EPOCH.plusMillis(Math.round(seconds * 1000));
  }

  void send(UsageRecord record) {
    send(record.key().toString(), UsageRecordFormat.write(record), record.end());
  }

  void send(String key, byte[] value, Instant timestamp) {
    routing.pipeInput(key, value, timestamp);
  }

  void heartbeat(double seconds) {
    send(UsageRecord.heartbeat(LAYER, ENGINE, "", sequence++, at(seconds), EXPERTS, TOP_K));
  }

  void baseline(Baseline baseline) {
    baselines.pipeInput(baseline.key().toString(), baseline, baseline.activatedAt());
  }

  void passTime(Duration duration) {
    driver.advanceWallClockTime(duration);
  }

  List<UsageWindow> closed() {
    return usage.readValuesToList();
  }

  List<TestRecord<String, byte[]>> deadLetters() {
    return dead.readRecordsToList();
  }

  List<String> deadReasons() {
    return deadLetters().stream().map(letter -> header(letter, DeadLetters.REASON)).toList();
  }

  static String header(TestRecord<String, byte[]> letter, String name) {
    return new String(letter.headers().lastHeader(name).value(), StandardCharsets.UTF_8);
  }

  List<Drift> drifts() {
    return drift.readValuesToList();
  }

  static List<LayerDrift> layers(List<Drift> drifts) {
    return drifts.stream()
        .filter(LayerDrift.class::isInstance)
        .map(LayerDrift.class::cast)
        .toList();
  }

  static List<ModelDrift> models(List<Drift> drifts) {
    return drifts.stream()
        .filter(ModelDrift.class::isInstance)
        .map(ModelDrift.class::cast)
        .toList();
  }

  Profile profile(LayerKey key) {
    return driver.<String, Profile>getKeyValueStore(RoutingTopology.PROFILES).get(key.toString());
  }

  double metric(String name) {
    return driver.metrics().entrySet().stream()
        .filter(metric -> metric.getKey().name().equals(name))
        .mapToDouble(metric -> ((Number) metric.getValue().metricValue()).doubleValue())
        .sum();
  }

  @Override
  public void close() {
    driver.close();
  }
}
