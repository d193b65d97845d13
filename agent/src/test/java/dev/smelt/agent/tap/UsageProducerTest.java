package dev.smelt.agent.tap;

import static org.assertj.core.api.Assertions.assertThat;

import dev.smelt.streams.usage.LayerKey;
import dev.smelt.streams.usage.UsageRecord;
import dev.smelt.streams.usage.UsageRecordFormat;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Clock;
import java.time.Instant;
import java.time.InstantSource;
import java.time.ZoneOffset;
import org.apache.kafka.clients.producer.MockProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.Test;

class UsageProducerTest {

  private final MockProducer<String, byte[]> kafka =
      new MockProducer<>(true, null, new StringSerializer(), new ByteArraySerializer());
  private final SimpleMeterRegistry metrics = new SimpleMeterRegistry();
  private Instant now = Instant.parse("2026-01-01T00:00:00Z");
  private final Clock clock = ((InstantSource) () -> now).withZone(ZoneOffset.UTC);
  private final UsageProducer producer = new UsageProducer(kafka, "smelt.routing", clock, metrics);

  @Test
  void shouldSendARecordUnderItsLayer() {
    UsageRecord usage = usage();

    producer.accept(usage);

    ProducerRecord<String, byte[]> sent = kafka.history().get(0);
    assertThat(sent.topic()).isEqualTo("smelt.routing");
    assertThat(sent.key()).isEqualTo("org/model/layer");
    assertThat(sent.timestamp()).isEqualTo(usage.end().toEpochMilli());
    assertThat(UsageRecordFormat.read(sent.value())).isEqualTo(usage);
    assertThat(metrics.counter("smelt_usage_records").count()).isEqualTo(1);
  }

  @Test
  void shouldDropWhileKafkaIsAwayAndTryAgainLater() {
    kafka.sendException = new TimeoutException("no metadata");
    producer.accept(usage());
    kafka.sendException = null;
    producer.accept(usage());

    assertThat(kafka.history()).isEmpty();
    assertThat(dropped("kafka_away")).isEqualTo(2);

    now = now.plusSeconds(1);
    producer.accept(usage());
    assertThat(kafka.history()).hasSize(1);
  }

  @Test
  void shouldCountWhatKafkaRefuses() {
    kafka.sendException = new RecordTooLargeException("too large");

    producer.accept(usage());

    assertThat(dropped("kafka_refused")).isEqualTo(1);
  }

  @Test
  void shouldNotThrowWhenClosed() {
    producer.close();

    producer.accept(usage());

    assertThat(dropped("kafka_refused")).isEqualTo(1);
  }

  private double dropped(String reason) {
    return metrics.counter("smelt_usage_records_dropped", "reason", reason).count();
  }

  private UsageRecord usage() {
    return UsageRecord.heartbeat(new LayerKey("org/model", "layer"), "engine", "", 0, now, 4, 2);
  }
}
