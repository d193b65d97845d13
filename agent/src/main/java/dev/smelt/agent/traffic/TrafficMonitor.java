package dev.smelt.agent.traffic;

import dev.smelt.agent.config.KafkaSettings;
import dev.smelt.agent.config.StreamsSettings;
import dev.smelt.agent.control.DriftHistory;
import dev.smelt.agent.control.Traffic;
import dev.smelt.agent.election.Election;
import dev.smelt.streams.drift.Drift;
import dev.smelt.streams.drift.DriftFormat;
import dev.smelt.streams.profile.Baseline;
import dev.smelt.streams.profile.BaselineFormat;
import dev.smelt.streams.profile.Profile;
import dev.smelt.streams.topology.ProfileQueries;
import dev.smelt.streams.topology.RoutingConfig;
import dev.smelt.streams.topology.RoutingTopology;
import dev.smelt.streams.topology.Topics;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InterruptException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.InvalidStateStoreException;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs the topology and follows what it publishes.
 *
 * <p>Failure semantics: a thread of the topology that fails is replaced; records are counted
 * exactly once all the same. While the broker is away, profiles stay as they were and nothing is
 * lost that it had taken.
 */
public final class TrafficMonitor implements AutoCloseable {

  private static final Logger LOGGER = LoggerFactory.getLogger(TrafficMonitor.class);
  private static final Duration KAFKA_LIMIT = Duration.ofSeconds(30);
  private static final Duration FIRST_CONTACT = Duration.ofSeconds(10);
  private static final int PARTITIONS = 4;

  private final Duration halfLife;
  private final KafkaStreams streams;
  private final ProfileQueries queries;
  private final Producer<String, Baseline> baselines;
  private final KafkaConsumer<String, Drift> drift;
  private final Thread follower;
  private final Map<String, DriftHistory> histories = new ConcurrentHashMap<>();

  private TrafficMonitor(
      Duration halfLife,
      KafkaStreams streams,
      Producer<String, Baseline> baselines,
      KafkaConsumer<String, Drift> drift,
      Consumer<Drift> listener) {
    this.halfLife = halfLife;
    this.streams = streams;
    this.queries = new ProfileQueries(streams);
    this.baselines = baselines;
    this.drift = drift;
    this.follower = new Thread(() -> follow(listener), "smelt-drift");
    follower.setDaemon(true);
  }

  /**
   * Starts; the topics must be there.
   *
   * @param bootstrapServers of the broker, given or embedded
   * @param folder for the state of the streams
   * @param listener told of each drift record
   */
  public static TrafficMonitor start(
      String bootstrapServers,
      KafkaSettings kafka,
      StreamsSettings settings,
      Path folder,
      Consumer<Drift> listener) {
    Map<String, Object> client = client(bootstrapServers, kafka);
    RoutingConfig config = routing(settings);
    Properties properties =
        new dev.smelt.streams.topology.StreamsSettings(
                settings.applicationId(),
                bootstrapServers,
                folder.toString(),
                "",
                1,
                config.commitInterval(),
                kafka.replication())
            .properties();
    properties.put(
        StreamsConfig.mainConsumerPrefix(ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG),
        (int) Election.SESSION.toMillis());
    properties.putAll(kafka.properties());
    KafkaStreams streams = new KafkaStreams(RoutingTopology.build(config), properties);
    streams.setUncaughtExceptionHandler(
        failure -> {
          LOGGER.atError().setCause(failure).log("a streams thread failed and is replaced");
          return StreamThreadExceptionResponse.REPLACE_THREAD;
        });
    KafkaConsumer<String, Drift> drift =
        new KafkaConsumer<>(
            with(client, Map.of("isolation.level", "read_committed")),
            new StringDeserializer(),
            DriftFormat.serde().deserializer());
    TopicPartition only = new TopicPartition(Topics.DRIFT, 0);
    drift.assign(List.of(only));
    drift.seekToEnd(List.of(only));
    TrafficMonitor monitor =
        new TrafficMonitor(
            settings.halfLife(),
            streams,
            new KafkaProducer<>(
                with(client, Map.of("acks", "all")),
                new StringSerializer(),
                BaselineFormat.serde().serializer()),
            drift,
            listener);
    streams.start();
    monitor.follower.start();
    return monitor;
  }

  /** Client properties for this broker. */
  public static Map<String, Object> client(String bootstrapServers, KafkaSettings kafka) {
    Map<String, Object> client = new HashMap<>(kafka.properties());
    client.put("bootstrap.servers", bootstrapServers);
    return client;
  }

  /** Whether the topology is counting. */
  public boolean running() {
    return streams.state() == KafkaStreams.State.RUNNING;
  }

  /** How many records the topology has yet to count, over all partitions. */
  public double lag() {
    return streams.metrics().values().stream()
        .filter(metric -> metric.metricName().name().equals("records-lag"))
        .mapToDouble(metric -> ((Number) metric.metricValue()).doubleValue())
        .filter(Double::isFinite)
        .sum();
  }

  /** The traffic of one model. */
  public Traffic of(String model) {
    DriftHistory history = history(model);
    return new Traffic() {
      @Override
      public Map<String, Profile> profiles() {
        if (!running()) {
          throw new IllegalStateException("the stream is " + streams.state());
        }
        try {
          return queries.localProfiles(model).stream()
              .collect(Collectors.toMap(profile -> profile.key().layer(), profile -> profile));
        } catch (InvalidStateStoreException moving) {
          throw new IllegalStateException("the stream is moving partitions", moving);
        }
      }

      @Override
      public Duration halfLife() {
        return halfLife;
      }

      @Override
      public DriftHistory drift() {
        return history;
      }

      @Override
      public void rebase(List<Baseline> snapshot) {
        List<? extends Future<?>> sent =
            snapshot.stream()
                .map(
                    baseline ->
                        baselines.send(
                            new ProducerRecord<>(
                                Topics.BASELINE, baseline.key().toString(), baseline)))
                .toList();
        sent.forEach(record -> await(record, "the baseline of " + model + " was not taken"));
      }
    };
  }

  @Override
  public void close() {
    drift.wakeup();
    try {
      follower.join(KAFKA_LIMIT.toMillis());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    streams.close(KAFKA_LIMIT);
    baselines.close(KAFKA_LIMIT);
  }

  private DriftHistory history(String model) {
    return histories.computeIfAbsent(model, name -> new DriftHistory());
  }

  private void follow(Consumer<Drift> listener) {
    try (drift) {
      while (!Thread.currentThread().isInterrupted()) {
        drift
            .poll(Duration.ofSeconds(1))
            .forEach(
                record -> {
                  history(record.value().model()).add(record.value());
                  listener.accept(record.value());
                });
      }
    } catch (WakeupException | InterruptException closing) {
      LOGGER.atDebug().log("no longer following drift");
    }
  }

  /**
   * Creates the topics that are missing.
   *
   * @throws IllegalStateException if the broker does not answer; the message names it
   */
  public static void createTopics(String bootstrapServers, KafkaSettings kafka) {
    Map<String, Object> client = client(bootstrapServers, kafka);
    try (Admin admin =
        Admin.create(
            with(
                client,
                Map.of(
                    "default.api.timeout.ms",
                    (int) FIRST_CONTACT.toMillis(),
                    "request.timeout.ms",
                    (int) FIRST_CONTACT.toMillis() / 2)))) {
      List<NewTopic> topics =
          new ArrayList<>(Topics.all(PARTITIONS, kafka.replication().shortValue()));
      topics.add(new NewTopic(Election.TOPIC, 1, kafka.replication().shortValue()));
      admin.createTopics(topics).values().values().forEach(TrafficMonitor::created);
    } catch (IllegalStateException e) {
      throw new IllegalStateException(
          "Kafka at "
              + bootstrapServers
              + " cannot be used: "
              + e.getMessage()
              + "; check kafka.bootstrapServers, or leave it empty for an embedded broker",
          e);
    }
  }

  private static void created(Future<?> topic) {
    try {
      topic.get(KAFKA_LIMIT.toSeconds() + 5, TimeUnit.SECONDS);
    } catch (ExecutionException e) {
      if (!(e.getCause() instanceof TopicExistsException)) {
        throw new IllegalStateException(e.getCause().getMessage(), e);
      }
    } catch (TimeoutException e) {
      throw new IllegalStateException("no answer", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted", e);
    }
  }

  private static void await(Future<?> sent, String otherwise) {
    try {
      sent.get(KAFKA_LIMIT.toSeconds(), TimeUnit.SECONDS);
    } catch (ExecutionException | TimeoutException e) {
      throw new IllegalStateException(otherwise + ": " + e.getMessage(), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(otherwise, e);
    }
  }

  private static RoutingConfig routing(StreamsSettings settings) {
    return new RoutingConfig(
        settings.window(),
        settings.grace(),
        RoutingConfig.DEFAULT.idleClose(),
        settings.halfLife(),
        RoutingConfig.DEFAULT.clockSkew(),
        settings.drift().settings());
  }

  private static Map<String, Object> with(Map<String, Object> base, Map<String, ?> more) {
    Map<String, Object> both = new HashMap<>(base);
    both.putAll(more);
    return both;
  }
}
