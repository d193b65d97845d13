package dev.smelt.streams.benchmark;

import dev.smelt.streams.topology.StreamsSettings;
import dev.smelt.streams.topology.Topics;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/** What the benchmarks ask of their broker. */
record BenchmarkBroker(String bootstrapServers) {

  void createTopics(int partitions) throws InterruptedException, ExecutionException {
    try (Admin admin = admin()) {
      admin.createTopics(Topics.all(partitions, (short) 1)).all().get();
    }
  }

  /** A consumer with the settings of the topology's, at the beginning of a topic. */
  KafkaConsumer<String, byte[]> consumer(String topic, int partitions) {
    KafkaConsumer<String, byte[]> consumer =
        new KafkaConsumer<>(
            Map.of(
                "bootstrap.servers",
                bootstrapServers,
                "isolation.level",
                "read_committed",
                "max.poll.records",
                StreamsSettings.RECORDS_OF_A_POLL,
                "max.partition.fetch.bytes",
                Topics.MAX_RECORD_BYTES,
                "receive.buffer.bytes",
                -1),
            new StringDeserializer(),
            new ByteArrayDeserializer());
    List<TopicPartition> all =
        IntStream.range(0, partitions)
            .mapToObj(partition -> new TopicPartition(topic, partition))
            .toList();
    consumer.assign(all);
    consumer.seekToBeginning(all);
    return consumer;
  }

  /** Takes what has been committed to a topic, until nothing more comes for a second. */
  void readAll(String topic, int partitions, Consumer<ConsumerRecord<String, byte[]>> taker) {
    try (KafkaConsumer<String, byte[]> consumer = consumer(topic, partitions)) {
      ConsumerRecords<String, byte[]> polled;
      do {
        polled = consumer.poll(Duration.ofSeconds(1));
        polled.forEach(taker);
      } while (!polled.isEmpty());
    }
  }

  /** Size of the topics whose names begin and end so, on disk. */
  long bytesOnDisk(String prefix, String suffix) throws InterruptedException, ExecutionException {
    try (Admin admin = admin()) {
      List<Integer> brokers = new ArrayList<>();
      admin.describeCluster().nodes().get().forEach(node -> brokers.add(node.id()));
      return admin.describeLogDirs(brokers).allDescriptions().get().values().stream()
          .flatMap(folders -> folders.values().stream())
          .flatMap(folder -> folder.replicaInfos().entrySet().stream())
          .filter(
              replica ->
                  replica.getKey().topic().startsWith(prefix)
                      && replica.getKey().topic().endsWith(suffix))
          .mapToLong(replica -> replica.getValue().size())
          .sum();
    }
  }

  private Admin admin() {
    return Admin.create(Map.of("bootstrap.servers", bootstrapServers));
  }
}
