package dev.smelt.streams.benchmark;

import dev.smelt.streams.topology.Topics;
import dev.smelt.streams.usage.Combined;
import dev.smelt.streams.usage.Decisions;
import dev.smelt.streams.usage.LayerKey;
import dev.smelt.streams.usage.PackedIds;
import dev.smelt.streams.usage.Usage;
import dev.smelt.streams.usage.UsageRecord;
import dev.smelt.streams.usage.UsageRecordFormat;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Engines that serve one model, and the records that their taps send, compressed as taps do. */
final class Fleet {

  /** Experts in all variants of a layer: small records must not repeat within what compresses. */
  private static final int EXPERTS_OF_VARIANTS = 512;

  private static final int TOKENS_PER_REQUEST = 200;

  private final String bootstrapServers;
  private final Model model;
  private final int engines;
  private final List<List<byte[]>> variants = new ArrayList<>();

  /**
   * What was sent.
   *
   * @param bytes size of the values, before compression
   */
  record Sent(long records, long bytes, double seconds) {}

  Fleet(
      String bootstrapServers,
      Model model,
      Mode mode,
      int engines,
      int tokensPerRecord,
      long seed) {
    this.bootstrapServers = bootstrapServers;
    this.model = model;
    this.engines = engines;
    for (int variant = 0; variant < EXPERTS_OF_VARIANTS / model.experts(); variant++) {
      List<byte[]> layers = new ArrayList<>();
      for (int layer = 0; layer < model.layers(); layer++) {
        Decisions decisions =
            decisions(model, mode, tokensPerRecord, seed + 1000L * variant + layer);
        layers.add(UsageRecordFormat.write(record(model, layer, decisions)));
      }
      variants.add(layers);
    }
  }

  static Decisions decisions(Model model, Mode mode, int tokens, long seed) {
    int requests = Math.max(1, tokens / TOKENS_PER_REQUEST);
    int[] ids = SyntheticTraffic.ids(model.experts(), model.topK(), tokens, requests, seed);
    return mode == Mode.RAW
        ? PackedIds.pack(model.experts(), model.topK(), ids, tokens, requests)
        : new Combined(
            Usage.accumulator(model.experts(), model.topK())
                .add(ids, tokens)
                .addRequests(requests)
                .build());
  }

  static UsageRecord record(Model model, int layer, Decisions decisions) {
    return new UsageRecord(
        key(model, layer), "engine", "", 0, Instant.EPOCH, Instant.EPOCH, decisions);
  }

  static LayerKey key(Model model, int layer) {
    return new LayerKey(model.name(), "model.layers." + layer + ".mlp");
  }

  /**
   * Sends what all engines send in some steps, as fast as it can.
   *
   * @param span of one step, in which each engine sends one record a layer
   * @param begin of the first step, in the records' own time
   */
  Sent send(int steps, Duration span, Instant begin) {
    long started = System.nanoTime();
    long bytes = 0;
    try (KafkaProducer<String, byte[]> producer = producer()) {
      for (int step = 0; step < steps; step++) {
        for (int engine = 0; engine < engines; engine++) {
          bytes += send(producer, engine, step, begin.plus(span.multipliedBy(step)));
        }
      }
      producer.flush();
    }
    return new Sent(
        (long) steps * engines * model.layers(), bytes, (System.nanoTime() - started) / 1e9);
  }

  /** Tells the topology that so much time has passed: one heartbeat a layer. */
  @SuppressWarnings("FutureReturnValueIgnored") // whoever waits for windows misses what is lost
  void sendHeartbeats(Instant at) {
    try (KafkaProducer<String, byte[]> producer = producer()) {
      for (int layer = 0; layer < model.layers(); layer++) {
        LayerKey key = key(model, layer);
        UsageRecord heartbeat =
            UsageRecord.heartbeat(key, "clock", "", 0, at, model.experts(), model.topK());
        producer.send(
            new ProducerRecord<>(
                Topics.ROUTING,
                null,
                at.toEpochMilli(),
                key.toString(),
                UsageRecordFormat.write(heartbeat)));
      }
    }
  }

  @SuppressWarnings("FutureReturnValueIgnored") // whoever counts the records misses what is lost
  private long send(KafkaProducer<String, byte[]> producer, int engine, int step, Instant at) {
    byte[] own =
        UsageRecordFormat.writeOrigin(
            "engine-" + engine + ":8000@1772366400000", step, at.toEpochMilli());
    long bytes = 0;
    for (int layer = 0; layer < model.layers(); layer++) {
      byte[] value = concatenated(variants.get((step + engine) % variants.size()).get(layer), own);
      bytes += value.length;
      producer.send(
          new ProducerRecord<>(
              Topics.ROUTING, null, at.toEpochMilli(), key(model, layer).toString(), value));
    }
    return bytes;
  }

  private static byte[] concatenated(byte[] record, byte[] fields) {
    byte[] whole = Arrays.copyOf(record, record.length + fields.length);
    System.arraycopy(fields, 0, whole, record.length, fields.length);
    return whole;
  }

  private KafkaProducer<String, byte[]> producer() {
    return new KafkaProducer<>(
        Map.of(
            "bootstrap.servers",
            bootstrapServers,
            "acks",
            "1",
            "enable.idempotence",
            false,
            "compression.type",
            "lz4",
            "linger.ms",
            20,
            "batch.size",
            512 * 1024,
            "max.request.size",
            Topics.MAX_RECORD_BYTES),
        new StringSerializer(),
        new ByteArraySerializer());
  }
}
