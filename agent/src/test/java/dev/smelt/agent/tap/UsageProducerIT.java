package dev.smelt.agent.tap;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.smelt.agent.broker.EmbeddedBroker;
import dev.smelt.streams.usage.LayerKey;
import dev.smelt.streams.usage.UsageRecord;
import dev.smelt.streams.usage.UsageRecordFormat;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class UsageProducerIT {

  private static final String TOPIC = "smelt.routing";

  @TempDir private Path folder;
  private final SimpleMeterRegistry metrics = new SimpleMeterRegistry();

  @Test
  void shouldLoseNothingAtANormalStart() throws Exception {
    try (EmbeddedBroker broker = EmbeddedBroker.start(folder)) {
      Map<String, Object> kafka = Map.of("bootstrap.servers", broker.bootstrapServers());
      try (Admin admin = Admin.create(kafka)) {
        admin
            .createTopics(List.of(new NewTopic(TOPIC, Optional.of(1), Optional.empty())))
            .all()
            .get();
      }
      try (UsageProducer producer =
          UsageProducer.connect(kafka, TOPIC, Clock.systemUTC(), metrics)) {
        for (int sequence = 0; sequence < 5; sequence++) {
          producer.accept(heartbeat(sequence));
        }
      }

      assertThat(received(broker))
          .extracting(UsageRecord::sequence)
          .containsExactly(0L, 1L, 2L, 3L, 4L);
      assertThat(metrics.counter("smelt_usage_records").count()).isEqualTo(5);
      assertThat(dropped()).isZero();
    }
  }

  private List<UsageRecord> received(EmbeddedBroker broker) {
    List<UsageRecord> records = new ArrayList<>();
    try (KafkaConsumer<String, byte[]> consumer =
        new KafkaConsumer<>(
            Map.of("bootstrap.servers", broker.bootstrapServers(), "auto.offset.reset", "earliest"),
            new StringDeserializer(),
            new ByteArrayDeserializer())) {
      consumer.assign(List.of(new TopicPartition(TOPIC, 0)));
      await()
          .until(
              () -> {
                consumer
                    .poll(Duration.ofMillis(100))
                    .forEach(record -> records.add(UsageRecordFormat.read(record.value())));
                return records.size() >= 5;
              });
    }
    return records;
  }

  private double dropped() {
    return metrics.find("smelt_usage_records_dropped").counters().stream()
        .mapToDouble(counter -> counter.count())
        .sum();
  }

  private static UsageRecord heartbeat(long sequence) {
    return UsageRecord.heartbeat(
        new LayerKey("model", "layer"), "engine", "", sequence, Instant.now(), 4, 2);
  }
}
