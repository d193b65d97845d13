package dev.smelt.streams.benchmark;

import dev.smelt.streams.drift.DriftSettings;
import dev.smelt.streams.drift.Reference;
import dev.smelt.streams.drift.ReferenceFormat;
import dev.smelt.streams.profile.Profile;
import dev.smelt.streams.profile.ProfileFormat;
import dev.smelt.streams.topology.RoutingConfig;
import dev.smelt.streams.topology.RoutingTopology;
import dev.smelt.streams.topology.Topics;
import dev.smelt.streams.usage.Decisions;
import dev.smelt.streams.usage.UsageRecordFormat;
import dev.smelt.streams.usage.UsageWindow;
import dev.smelt.streams.usage.UsageWindowFormat;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.DoubleStream;
import org.apache.commons.statistics.descriptive.Median;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;

/**
 * How fast the topology counts, next to two peers on the same records of one broker: a consumer
 * that polls and does nothing, and a topology of Kafka Streams that reads exactly once and does
 * nothing. One thread each, with the same consumer settings, warmed up by earlier runs; they take
 * turns, and the median of several runs counts.
 *
 * <p>Each measurement needs a fresh broker: it creates the topics of {@link Topics}.
 */
public final class StreamsBenchmark {

  private static final int PARTITIONS = 4;
  private static final Duration RECORD_SPAN = Duration.ofMillis(250);

  /** Long enough for windows to close: 20 seconds of traffic. */
  private static final int STEPS = 80;

  /** Until the compiler of the JVM has little left to do. */
  private static final int WARM_UPS = 3;

  private static final int ROUNDS = 3;

  /** One of so many records is read before the time counts: while tasks start one by one. */
  private static final int STARTING = 10;

  private static final int MOST_ENGINES = 400;
  private static final Duration PATIENCE = Duration.ofMinutes(3);

  private final BenchmarkBroker broker;
  private final String stateFolder;

  /**
   * Time that one thread took for all records; the median of several runs.
   *
   * @param clockSeconds by the clock, from the first record to the last
   * @param processorSeconds by the thread's processor
   */
  public record Time(double clockSeconds, double processorSeconds) {

    private static Time median(List<Time> times) {
      return new Time(
          StreamsBenchmark.median(times.stream().mapToDouble(Time::clockSeconds)),
          StreamsBenchmark.median(times.stream().mapToDouble(Time::processorSeconds)));
    }
  }

  /**
   * One line of the result.
   *
   * @param tokens tokens in a record
   * @param engines engines that sent the records, one a layer each 250 ms
   * @param records records in the topic
   * @param decisions decisions in them
   * @param bytes size of their values, before compression
   * @param consumer time of the consumer that does nothing
   * @param idleTopology time of the topology that does nothing
   * @param topology time of the topology's stream thread
   * @param ageing processor time of the second half of the records over that of the first
   * @param windows windows of layers that closed meanwhile
   * @param changelogBytes size of what the topology wrote to its changelogs
   * @param stateBytesPerLayer size of the state of one layer, written down: open window, profile,
   *     reference
   */
  public record Line(
      Model model,
      Mode mode,
      int tokens,
      int engines,
      long records,
      long decisions,
      long bytes,
      Time consumer,
      Time idleTopology,
      Time topology,
      double ageing,
      long windows,
      long changelogBytes,
      long stateBytesPerLayer) {

    /** Records a second of the topology over those of the consumer, by the clock. */
    public double relativeSpeed() {
      return consumer.clockSeconds() / topology.clockSeconds();
    }

    /** The same by the threads' processor time. */
    public double relativeProcessorSpeed() {
      return consumer.processorSeconds() / topology.processorSeconds();
    }

    /** By processor time, records a second over those of the topology that does nothing. */
    public double relativeToIdleTopology() {
      return idleTopology.processorSeconds() / topology.processorSeconds();
    }

    /** Decisions that the topology counts in a second of one processor. */
    public double decisionsPerSecond() {
      return decisions / topology.processorSeconds();
    }
  }

  /**
   * @param bootstrapServers a broker without topics
   * @param stateFolder for the lock files of the streams client
   */
  public StreamsBenchmark(String bootstrapServers, String stateFolder) {
    this.broker = new BenchmarkBroker(bootstrapServers);
    this.stateFolder = stateFolder;
  }

  /**
   * Measures one model in one mode.
   *
   * @param tokens tokens in a record
   * @param megabytes how much to send, roughly
   */
  public Line measure(Model model, Mode mode, int tokens, int megabytes, long seed)
      throws InterruptedException, ExecutionException {
    long recordBytes =
        UsageRecordFormat.write(Fleet.record(model, 0, Fleet.decisions(model, mode, tokens, seed)))
            .length;
    long perStep = recordBytes * model.layers();
    long inAll = megabytes * 1_000_000L;
    int engines = (int) Math.max(1, Math.min(MOST_ENGINES, inAll / perStep / STEPS));
    int steps = (int) Math.max(1, Math.min(STEPS, inAll / perStep / engines));
    broker.createTopics(PARTITIONS);
    Fleet.Sent sent =
        new Fleet(broker.bootstrapServers(), model, mode, engines, tokens, seed)
            .send(steps, RECORD_SPAN, begin(RoutingConfig.DEFAULT));
    consume(sent.records());
    run("idle-warm-up", idle(), sent.records());
    for (int warmUp = 0; warmUp < WARM_UPS; warmUp++) {
      run("warm-up-" + warmUp, RoutingTopology.build(RoutingConfig.DEFAULT), sent.records());
    }
    List<Time> consumer = new ArrayList<>();
    List<Time> idle = new ArrayList<>();
    List<Run> counted = new ArrayList<>();
    for (int round = 0; round < ROUNDS; round++) {
      consumer.add(consume(sent.records()));
      idle.add(run("idle-" + round, idle(), sent.records()).time());
      counted.add(
          run("counted-" + round, RoutingTopology.build(RoutingConfig.DEFAULT), sent.records()));
    }
    AtomicLong windows = new AtomicLong();
    broker.readAll(Topics.USAGE, PARTITIONS, window -> windows.incrementAndGet());
    return new Line(
        model,
        mode,
        tokens,
        engines,
        sent.records(),
        sent.records() * tokens * model.topK(),
        sent.bytes(),
        Time.median(consumer),
        Time.median(idle),
        Time.median(counted.stream().map(Run::time).toList()),
        median(counted.stream().mapToDouble(Run::ageing)),
        windows.get() / (WARM_UPS + ROUNDS),
        broker.bytesOnDisk("counted-0", "-changelog"),
        stateBytes(model, Fleet.decisions(model, mode, tokens, seed)));
  }

  /**
   * When the first record ends: so that a window closes at the middle of the traffic and one with
   * its last records, as many as it is long.
   */
  private static Instant begin(RoutingConfig config) {
    long window = config.window().toMillis();
    Duration traffic = RECORD_SPAN.multipliedBy(STEPS);
    long latest = Instant.now().minus(traffic).minus(config.grace()).toEpochMilli();
    return Instant.ofEpochMilli(Math.floorDiv(latest, window) * window)
        .plus(config.grace())
        .plus(RECORD_SPAN);
  }

  private Time consume(long records) {
    System.gc(); // lest a run pays for the garbage of the one before
    try (KafkaConsumer<String, byte[]> consumer = broker.consumer(Topics.ROUTING, PARTITIONS)) {
      long seen = 0;
      while (seen < records / STARTING) {
        seen += poll(consumer, seen, records);
      }
      long before = seen;
      long clock = System.nanoTime();
      long processor = Instance.processorNanos(Thread.currentThread());
      while (seen < records) {
        seen += poll(consumer, seen, records);
      }
      double share = (double) Math.max(1, records - before) / records;
      return new Time(
          (System.nanoTime() - clock) / 1e9 / share,
          (Instance.processorNanos(Thread.currentThread()) - processor) / 1e9 / share);
    }
  }

  private static int poll(KafkaConsumer<String, byte[]> consumer, long seen, long records) {
    ConsumerRecords<String, byte[]> polled = consumer.poll(PATIENCE);
    if (polled.isEmpty()) {
      throw new IllegalStateException("only " + seen + " of " + records + " records came");
    }
    return polled.count();
  }

  /** Reads the records exactly once, and does nothing. */
  private static Topology idle() {
    StreamsBuilder builder = new StreamsBuilder();
    builder.stream(Topics.ROUTING, Consumed.with(Serdes.String(), Serdes.ByteArray()))
        .foreach((key, value) -> {});
    return builder.build();
  }

  /** How one run went. */
  private record Run(Time time, double ageing) {}

  private Run run(String application, Topology topology, long records) throws InterruptedException {
    System.gc();
    try (Instance instance =
        new Instance(application, topology, broker.bootstrapServers(), stateFolder, 1)) {
      instance.start();
      instance.awaitRecords(Math.max(1, records / STARTING));
      long before = instance.records();
      long clock = System.nanoTime();
      long processor = instance.processorNanos();
      instance.awaitRecords(before + (records - before) / 2);
      long halfWay = instance.records();
      long processorHalfWay = instance.processorNanos();
      instance.awaitRecords(records);
      long clockEnd = System.nanoTime();
      long processorEnd = instance.processorNanos();
      double share = (double) Math.max(1, records - before) / records;
      double firstHalf = (double) (processorHalfWay - processor) / Math.max(1, halfWay - before);
      double secondHalf =
          (double) (processorEnd - processorHalfWay) / Math.max(1, records - halfWay);
      return new Run(
          new Time((clockEnd - clock) / 1e9 / share, (processorEnd - processor) / 1e9 / share),
          secondHalf / firstHalf);
    }
  }

  private static double median(DoubleStream values) {
    return Median.withDefaults().evaluate(values.toArray());
  }

  private static long stateBytes(Model model, Decisions decisions) {
    Instant end = Instant.EPOCH.plusSeconds(10);
    UsageWindow window =
        new UsageWindow(Fleet.key(model, 0), Instant.EPOCH, end, decisions.usage(), 40, 0, 0, 0);
    Profile profile = Profile.of(window);
    DriftSettings settings = DriftSettings.DEFAULT;
    Reference reference = Reference.empty(model.experts());
    for (int seen = 0; seen < settings.referenceLag() + settings.referenceWindows(); seen++) {
      reference = reference.observe(profile.frequency(), 1, profile.frequency(), settings);
    }
    return UsageWindowFormat.write(window).length
        + (long) ProfileFormat.serde().serializer().serialize("", profile).length
        + ReferenceFormat.serde().serializer().serialize("", reference).length;
  }
}
