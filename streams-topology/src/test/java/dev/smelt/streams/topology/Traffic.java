package dev.smelt.streams.topology;

import dev.smelt.streams.usage.Combined;
import dev.smelt.streams.usage.Decisions;
import dev.smelt.streams.usage.LayerKey;
import dev.smelt.streams.usage.PackedIds;
import dev.smelt.streams.usage.RandomDecisions;
import dev.smelt.streams.usage.Usage;
import dev.smelt.streams.usage.UsageRecord;
import dev.smelt.streams.usage.UsageRecordFormat;
import dev.smelt.streams.usage.UsageWindow;
import dev.smelt.streams.usage.UsageWindowFormat;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Sends decisions of a small model to a real broker, and compares them with what comes out. */
final class Traffic implements AutoCloseable {

  static final int PARTITIONS = 3;
  static final List<LayerKey> LAYERS =
      IntStream.range(0, 6).mapToObj(layer -> new LayerKey("mixtral", "layers." + layer)).toList();

  private static final int EXPERTS = 8;
  private static final int TOP_K = 2;
  private static final Duration STEP = Duration.ofMillis(100);

  private final String bootstrapServers;
  private final KafkaProducer<String, byte[]> producer;
  private final Random random = new Random(5);
  private final Map<String, Usage> sent = new HashMap<>();
  private final Instant begin = Instant.now().minus(Duration.ofHours(1));
  private long sequence;

  Traffic(String bootstrapServers) throws ExecutionException, InterruptedException {
    this.bootstrapServers = bootstrapServers;
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrapServers))) {
      admin.createTopics(Topics.all(PARTITIONS, (short) 1)).all().get();
    }
    producer =
        new KafkaProducer<>(
            Map.of(
                "bootstrap.servers",
                bootstrapServers,
                "delivery.timeout.ms",
                "120000",
                "enable.idempotence",
                "false",
                "max.in.flight.requests.per.connection",
                "1"),
            new StringSerializer(),
            new ByteArraySerializer());
  }

  /**
   * One record for each layer at each of the next steps, a tenth of a second of record time apart.
   */
  void send(int steps) {
    for (int step = 0; step < steps; step++) {
      next().forEach(this::send);
    }
    producer.flush();
  }

  /** The records of the next step, counted as sent. */
  List<UsageRecord> next() {
    Instant at = begin.plus(STEP.multipliedBy(sequence));
    List<UsageRecord> records = new ArrayList<>();
    for (LayerKey key : LAYERS) {
      int[] ids = RandomDecisions.ids(random, EXPERTS, TOP_K, 10);
      Usage usage = Usage.accumulator(EXPERTS, TOP_K).add(ids, 10).addRequests(1).build();
      Decisions decisions =
          random.nextBoolean() ? new Combined(usage) : PackedIds.pack(EXPERTS, TOP_K, ids, 10, 1);
      sent.merge(key.toString(), usage, Usage::plus);
      records.add(new UsageRecord(key, "engine", "", sequence, at, at, decisions));
    }
    sequence++;
    return records;
  }

  void send(UsageRecord record) {
    send(record.key().toString(), UsageRecordFormat.write(record));
  }

  void send(String key, byte[] value) {
    producer.send(new ProducerRecord<>(Topics.ROUTING, key, value));
  }

  /** Tells every layer that time has passed, so that all windows close. */
  void finish() {
    Instant end = begin.plus(STEP.multipliedBy(sequence)).plusSeconds(5);
    for (LayerKey key : LAYERS) {
      send(UsageRecord.heartbeat(key, "engine", "", sequence, end, EXPERTS, TOP_K));
    }
    sequence++;
    producer.flush();
  }

  Map<String, Usage> sent() {
    return sent;
  }

  /** Everything that was committed to the topic of closed windows so far. */
  List<UsageWindow> closedWindows() {
    List<UsageWindow> windows = new ArrayList<>();
    for (ConsumerRecord<String, byte[]> record : committed(Topics.USAGE, PARTITIONS)) {
      windows.add(UsageWindowFormat.read(record.value()));
    }
    return windows;
  }

  /** Sums of the closed windows by layer; fails if any window came twice. */
  Map<String, Usage> counted() {
    Map<String, Usage> sums = new HashMap<>();
    Set<String> seen = new HashSet<>();
    for (UsageWindow window : closedWindows()) {
      if (!seen.add(window.key() + "@" + window.start())) {
        throw new AssertionError(window.key() + ": window at " + window.start() + " came twice");
      }
      sums.merge(window.key().toString(), window.usage(), Usage::plus);
    }
    return sums;
  }

  /** Committed records of a topic, up to its end. */
  List<ConsumerRecord<String, byte[]>> committed(String topic, int partitions) {
    List<TopicPartition> all =
        IntStream.range(0, partitions).mapToObj(p -> new TopicPartition(topic, p)).toList();
    List<ConsumerRecord<String, byte[]>> records = new ArrayList<>();
    try (KafkaConsumer<String, byte[]> consumer =
        new KafkaConsumer<>(
            Map.of("bootstrap.servers", bootstrapServers, "isolation.level", "read_committed"),
            new StringDeserializer(),
            new ByteArrayDeserializer())) {
      consumer.assign(all);
      consumer.seekToBeginning(all);
      Map<TopicPartition, Long> ends = consumer.endOffsets(all);
      while (all.stream()
          .anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
        consumer.poll(Duration.ofMillis(200)).forEach(records::add);
      }
    }
    return records;
  }

  @Override
  public void close() {
    producer.close(Duration.ZERO);
  }
}
