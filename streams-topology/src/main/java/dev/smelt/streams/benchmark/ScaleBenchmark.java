package dev.smelt.streams.benchmark;

import dev.smelt.streams.topology.RoutingConfig;
import dev.smelt.streams.topology.RoutingTopology;
import dev.smelt.streams.topology.Topics;
import dev.smelt.streams.usage.UsageWindow;
import dev.smelt.streams.usage.UsageWindowFormat;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;

/**
 * Whether one instance keeps up with a fleet. A machine that runs the instance, the broker and the
 * fleet can't send as fast as the fleet does, so the records are written first, and the instance
 * then takes them as fast as it can: if that is faster than the fleet sends, it keeps up.
 *
 * <p>Needs a fresh broker: it creates the topics of {@link Topics}.
 */
public final class ScaleBenchmark {

  private static final int THREADS = 2;
  private static final Duration PATIENCE = Duration.ofSeconds(30);

  private final BenchmarkBroker broker;
  private final String stateFolder;

  /**
   * What the instance took and what came out.
   *
   * @param interval for which each tap combines decisions before it sends a record a layer
   * @param records records of the fleet
   * @param bytes size of their values, before compression
   * @param bytesOnDisk size of the topic
   * @param sendSeconds time that writing them took, before the instance started
   * @param countSeconds by the clock, from the first record that the instance counted to the last
   * @param processorSeconds of the instance's stream threads, meanwhile
   * @param lagSeconds from the last record counted until its window has been committed and read
   * @param decisions decisions in the records
   * @param countedRecords records in the windows that came out
   * @param countedDecisions decisions in those windows
   */
  public record Scale(
      Model model,
      int replicas,
      Duration interval,
      long records,
      long bytes,
      long bytesOnDisk,
      double sendSeconds,
      double countSeconds,
      double processorSeconds,
      double lagSeconds,
      long decisions,
      long countedRecords,
      long countedDecisions) {

    /** Records a second that the whole fleet sends. */
    public double fleetRate() {
      return replicas * model.layers() / (interval.toMillis() / 1e3);
    }

    /** Records a second that the instance took. */
    public double rate() {
      return records / countSeconds;
    }

    /** How many times faster than the fleet sends. */
    public double timesFleetRate() {
      return rate() / fleetRate();
    }

    /** Processors that the fleet keeps busy. */
    public double processors() {
      return fleetRate() * processorSeconds / records;
    }

    /** True if the windows hold every record and decision, once. */
    public boolean complete() {
      return countedRecords == records && countedDecisions == decisions;
    }
  }

  /**
   * @param bootstrapServers a broker without topics
   * @param stateFolder for the lock files of the streams client
   */
  public ScaleBenchmark(String bootstrapServers, String stateFolder) {
    this.broker = new BenchmarkBroker(bootstrapServers);
    this.stateFolder = stateFolder;
  }

  /**
   * Writes what a fleet sends, and lets one instance of two threads count it.
   *
   * @param replicas engines
   * @param tokensPerSecond of each
   * @param interval for which each tap combines decisions before it sends a record a layer
   * @param steps intervals to send for
   */
  public Scale measure(
      Model model, int replicas, int tokensPerSecond, Duration interval, int steps, long seed)
      throws InterruptedException, ExecutionException {
    int partitions = model.layers();
    broker.createTopics(partitions);
    int tokens = Math.toIntExact(tokensPerSecond * interval.toMillis() / 1000);
    RoutingConfig config = RoutingConfig.DEFAULT;
    Instant end = Instant.now();
    Instant begin =
        end.minus(interval.multipliedBy(steps)).minus(config.window()).minus(config.grace());
    Fleet fleet =
        new Fleet(broker.bootstrapServers(), model, Mode.COMBINED, replicas, tokens, seed);
    Fleet.Sent sent = fleet.send(steps, interval, begin);
    long bytesOnDisk = broker.bytesOnDisk(Topics.ROUTING, Topics.ROUTING);
    double countSeconds;
    double processorSeconds;
    double lagSeconds;
    Counted counted;
    try (Instance instance =
        new Instance(
            "scale",
            RoutingTopology.build(config),
            broker.bootstrapServers(),
            stateFolder,
            THREADS)) {
      instance.start();
      instance.awaitRecords(1);
      long before = instance.records();
      long clock = System.nanoTime();
      long processor = instance.processorNanos();
      instance.awaitRecords(sent.records());
      double share = (double) Math.max(1, sent.records() - before) / sent.records();
      countSeconds = (System.nanoTime() - clock) / 1e9 / share;
      processorSeconds = (instance.processorNanos() - processor) / 1e9 / share;
      long last = System.nanoTime();
      fleet.sendHeartbeats(end);
      counted = awaitWindows(partitions, sent.records());
      lagSeconds = (System.nanoTime() - last) / 1e9;
    }
    return new Scale(
        model,
        replicas,
        interval,
        sent.records(),
        sent.bytes(),
        bytesOnDisk,
        sent.seconds(),
        countSeconds,
        processorSeconds,
        lagSeconds,
        sent.records() * tokens * model.topK(),
        counted.records,
        counted.decisions);
  }

  /** Reads windows until they hold so many records, or no more come. */
  private Counted awaitWindows(int partitions, long records) {
    Counted counted = new Counted();
    try (KafkaConsumer<String, byte[]> consumer = broker.consumer(Topics.USAGE, partitions)) {
      ConsumerRecords<String, byte[]> polled;
      do {
        polled = consumer.poll(PATIENCE);
        polled.forEach(counted::add);
      } while (counted.records < records && !polled.isEmpty());
    }
    return counted;
  }

  /** Sums over the windows that came out. */
  private static final class Counted {

    private long records;
    private long decisions;

    void add(ConsumerRecord<String, byte[]> value) {
      UsageWindow window = UsageWindowFormat.read(value.value());
      records += window.records();
      decisions += window.usage().decisions();
    }
  }
}
