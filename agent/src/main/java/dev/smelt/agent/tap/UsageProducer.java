package dev.smelt.agent.tap;

import dev.smelt.streams.usage.UsageRecord;
import dev.smelt.streams.usage.UsageRecordFormat;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Sends usage records to Kafka.
 *
 * <p>Failure semantics: a record that Kafka does not take in time is dropped and counted; its
 * sequence number stays missing, which tells the stream. While Kafka is away, only one record a
 * second is tried and the others are dropped at once. Memory is bounded by the producer's buffer.
 */
public final class UsageProducer implements UsageSink, AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(UsageProducer.class);

  private static final Duration BLOCK = Duration.ofMillis(100);
  private static final Duration TRY_AGAIN = Duration.ofSeconds(1);
  private static final Duration DELIVERY = Duration.ofSeconds(30);
  private static final Duration START = Duration.ofSeconds(10);
  private static final Duration CLOSE = Duration.ofSeconds(5);
  private static final long BUFFER_BYTES = 16L << 20;

  private final Producer<String, byte[]> producer;
  private final String topic;
  private final Clock clock;
  private final Counter sent;
  private final Counter droppedAway;
  private final Counter droppedRefused;
  private Instant awayUntil = Instant.MIN;

  /** For tests with a mock producer. */
  UsageProducer(
      Producer<String, byte[]> producer, String topic, Clock clock, MeterRegistry metrics) {
    this.producer = producer;
    this.topic = topic;
    this.clock = clock;
    sent = metrics.counter("smelt_usage_records");
    droppedAway = metrics.counter("smelt_usage_records_dropped", "reason", "kafka_away");
    droppedRefused = metrics.counter("smelt_usage_records_dropped", "reason", "kafka_refused");
  }

  /**
   * Connects and waits a few seconds for the topic, so that the first records find it; if Kafka is
   * away for longer, records are dropped until it comes.
   *
   * @param kafka client settings, at least {@code bootstrap.servers}
   */
  public static UsageProducer connect(
      Map<String, ?> kafka, String topic, Clock clock, MeterRegistry metrics) {
    Map<String, Object> config = new HashMap<>(kafka);
    config.put(ProducerConfig.ACKS_CONFIG, "all");
    // One request at a time, because brokers without KAFKA-15591 accept the second request to a new
    // partition before the first, and then refuse the first until its delivery limit. With one at a
    // time idempotence adds nothing: the stream drops what comes twice by its sequence number.
    config.put(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, false);
    config.put(ProducerConfig.MAX_IN_FLIGHT_REQUESTS_PER_CONNECTION, 1);
    config.put(ProducerConfig.MAX_BLOCK_MS_CONFIG, BLOCK.toMillis());
    config.put(ProducerConfig.BUFFER_MEMORY_CONFIG, BUFFER_BYTES);
    config.put(ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG, (int) DELIVERY.toMillis());
    config.put(ProducerConfig.REQUEST_TIMEOUT_MS_CONFIG, (int) DELIVERY.toMillis() / 2);
    config.put(ProducerConfig.LINGER_MS_CONFIG, 20);
    config.put(ProducerConfig.COMPRESSION_TYPE_CONFIG, "lz4");
    Producer<String, byte[]> producer =
        new KafkaProducer<>(config, new StringSerializer(), new ByteArraySerializer());
    awaitTopic(producer, topic);
    return new UsageProducer(producer, topic, clock, metrics);
  }

  private static void awaitTopic(Producer<String, byte[]> producer, String topic) {
    long end = System.nanoTime() + START.toNanos();
    while (System.nanoTime() < end) {
      try {
        producer.partitionsFor(topic);
        return;
      } catch (TimeoutException notYet) {
        LOG.atDebug().addKeyValue("topic", topic).log("Waiting for Kafka to know the topic");
      }
    }
    LOG.atWarn()
        .addKeyValue("topic", topic)
        .addKeyValue("waited", START)
        .log("Kafka does not know the topic yet; usage records are dropped until it does");
  }

  @Override
  @SuppressWarnings("FutureReturnValueIgnored") // the callback says how it went
  public synchronized void accept(UsageRecord usage) {
    Instant now = clock.instant();
    if (now.isBefore(awayUntil)) {
      droppedAway.increment();
      return;
    }
    ProducerRecord<String, byte[]> message =
        new ProducerRecord<>(
            topic,
            null,
            usage.end().toEpochMilli(),
            usage.key().toString(),
            UsageRecordFormat.write(usage));
    try {
      producer.send(
          message,
          (metadata, failure) -> {
            if (failure == null) {
              sent.increment();
            } else {
              refused(failure);
            }
          });
    } catch (TimeoutException away) {
      awayUntil = now.plus(TRY_AGAIN);
      droppedAway.increment();
      LOG.atDebug().setCause(away).addKeyValue("topic", topic).log("Kafka takes no usage records");
    } catch (KafkaException | IllegalStateException refused) {
      refused(refused);
    }
  }

  private void refused(Exception failure) {
    droppedRefused.increment();
    LOG.atWarn()
        .addKeyValue("topic", topic)
        .addKeyValue("reason", failure.getMessage())
        .log("A usage record was dropped");
  }

  @Override
  public void close() {
    producer.close(CLOSE);
  }
}
