package dev.smelt.streams.topology;

import java.time.Duration;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.streams.StreamsConfig;

/**
 * How the streams client runs. What it doesn't say is left to Kafka.
 *
 * @param applicationId names the consumer group and the internal topics; all instances share it
 * @param bootstrapServers where the brokers are
 * @param stateFolder where the client keeps its lock files; losing it loses nothing
 * @param advertisedAddress {@code host:port} under which other instances can ask this one for
 *     profiles; empty if there are no others
 * @param threads threads that share the tasks
 * @param commitInterval how often results become visible, and how much is repeated after a crash
 * @param replication copies of internal topics
 */
public record StreamsSettings(
    String applicationId,
    String bootstrapServers,
    String stateFolder,
    String advertisedAddress,
    int threads,
    Duration commitInterval,
    int replication) {

  /**
   * Records that are taken from those fetched at a time: few enough that those of large layers are
   * still in the processor's cache when they are counted.
   */
  public static final int RECORDS_OF_A_POLL = 100;

  /** As properties for {@code KafkaStreams}: exactly once, version 2. */
  public Properties properties() {
    Properties properties = new Properties();
    properties.put(StreamsConfig.APPLICATION_ID_CONFIG, applicationId);
    properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrapServers);
    properties.put(StreamsConfig.STATE_DIR_CONFIG, stateFolder);
    properties.put(StreamsConfig.APPLICATION_SERVER_CONFIG, advertisedAddress);
    properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, threads);
    properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, commitInterval.toMillis());
    properties.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, replication);
    // Baselines need not be read in step with records; finding out whether some wait at the broker
    // costs more than counting a small record.
    properties.put(StreamsConfig.MAX_TASK_IDLE_MS_CONFIG, StreamsConfig.MAX_TASK_IDLE_MS_DISABLED);
    properties.put(
        StreamsConfig.producerPrefix(ProducerConfig.MAX_REQUEST_SIZE_CONFIG),
        Topics.MAX_RECORD_BYTES);
    properties.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
    properties.put(
        StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
    properties.put(
        StreamsConfig.consumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG),
        Topics.MAX_RECORD_BYTES);
    properties.put(
        StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), RECORDS_OF_A_POLL);
    // As large as the system allows: the next records arrive while these are counted.
    properties.put(StreamsConfig.consumerPrefix(ConsumerConfig.RECEIVE_BUFFER_CONFIG), -1);
    return properties;
  }
}
