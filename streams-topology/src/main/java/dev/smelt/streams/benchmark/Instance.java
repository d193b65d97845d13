package dev.smelt.streams.benchmark;

import dev.smelt.streams.topology.RoutingConfig;
import dev.smelt.streams.topology.StreamsSettings;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.function.BooleanSupplier;
import org.apache.kafka.common.Metric;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.Topology;

/** An instance of Kafka Streams whose work is watched from outside. */
final class Instance implements AutoCloseable {

  private static final Duration PATIENCE = Duration.ofMinutes(3);

  private final KafkaStreams streams;

  /** Looked for only once. */
  private List<Metric> processed = List.of();

  Instance(
      String application,
      Topology topology,
      String bootstrapServers,
      String stateFolder,
      int threads) {
    streams =
        new KafkaStreams(
            topology,
            new StreamsSettings(
                    application,
                    bootstrapServers,
                    stateFolder,
                    "",
                    threads,
                    RoutingConfig.DEFAULT.commitInterval(),
                    1)
                .properties());
  }

  void start() {
    streams.start();
  }

  /** Records that it has processed. */
  long records() {
    if (processed.isEmpty()) {
      processed =
          List.copyOf(
              streams.metrics().values().stream()
                  .filter(metric -> metric.metricName().name().equals("process-total"))
                  .filter(metric -> metric.metricName().group().equals("stream-thread-metrics"))
                  .toList());
    }
    return (long)
        processed.stream()
            .mapToDouble(metric -> ((Number) metric.metricValue()).doubleValue())
            .sum();
  }

  void awaitRecords(long records) throws InterruptedException {
    await(() -> records() >= records);
  }

  /** Processor time of its stream threads. */
  long processorNanos() {
    List<String> names =
        streams.metadataForLocalThreads().stream().map(thread -> thread.threadName()).toList();
    ThreadMXBean threads = ManagementFactory.getThreadMXBean();
    return Arrays.stream(threads.getThreadInfo(threads.getAllThreadIds()))
        .filter(thread -> thread != null && names.contains(thread.getThreadName()))
        .mapToLong(thread -> threads.getThreadCpuTime(thread.getThreadId()))
        .sum();
  }

  static long processorNanos(Thread thread) {
    return ManagementFactory.getThreadMXBean().getThreadCpuTime(thread.getId());
  }

  private static void await(BooleanSupplier condition) throws InterruptedException {
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() > deadline) {
        throw new IllegalStateException("not done after " + PATIENCE.toMinutes() + " minutes");
      }
      Thread.sleep(5);
    }
  }

  /** Commits what it has processed, and stops. */
  @Override
  public void close() {
    streams.close();
  }
}
