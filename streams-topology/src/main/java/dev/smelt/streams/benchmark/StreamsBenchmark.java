package dev.smelt.streams.benchmark;

import dev.smelt.streams.drift.DriftSettings;
import dev.smelt.streams.drift.Reference;
import dev.smelt.streams.drift.ReferenceFormat;
import dev.smelt.streams.profile.Profile;
import dev.smelt.streams.profile.ProfileFormat;
import dev.smelt.streams.topology.RoutingConfig;
import dev.smelt.streams.topology.RoutingTopology;
import dev.smelt.streams.topology.StreamsSettings;
import dev.smelt.streams.topology.Topics;
import dev.smelt.streams.usage.Accumulator;
import dev.smelt.streams.usage.Combined;
import dev.smelt.streams.usage.Decisions;
import dev.smelt.streams.usage.Usage;
import dev.smelt.streams.usage.UsageRecord;
import dev.smelt.streams.usage.UsageRecordFormat;
import dev.smelt.streams.usage.UsageWindow;
import dev.smelt.streams.usage.UsageWindowFormat;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.function.BooleanSupplier;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;

/**
 * How fast the topology counts, next to two peers on the same records of one broker: a consumer
 * that polls and does nothing, and a topology of Kafka Streams that reads exactly once and does
 * nothing. One thread each, with the same consumer settings, warmed up by earlier runs.
 *
 * <p>Each measurement needs a fresh broker: it creates the topics of {@link Topics}.
 */
public final class StreamsBenchmark {

  private static final int PARTITIONS = 4;
  private static final Duration RECORD_SPAN = Duration.ofMillis(250);

  /** Long enough for windows to close: 20 seconds of traffic. */
  private static final int STEPS = 80;

  private static final int WARM_UPS = 2;
  private static final int MOST_ENGINES = 400;
  private static final int THREADS_OF_AN_INSTANCE = 2;
  private static final Duration PATIENCE = Duration.ofMinutes(3);

  private final String bootstrapServers;
  private final String stateFolder;

  /**
   * A model whose routing is sent.
   *
   * @param name of the model
   * @param layers layers that route
   * @param experts experts of each
   * @param topK experts chosen for each token
   */
  public record Model(String name, int layers, int experts, int topK) {

    public static final List<Model> ALL =
        List.of(
            new Model("mixtral", 32, 8, 2),
            new Model("qwen3-30b", 48, 128, 8),
            new Model("deepseek-v3", 58, 256, 8));
  }

  /** Whether taps combine decisions, or send every one. */
  public enum Mode {
    COMBINED,
    RAW
  }

  /**
   * Time that one thread took for all records.
   *
   * @param clockSeconds by the clock, from the first record to the last
   * @param processorSeconds by the thread's processor
   */
  public record Time(double clockSeconds, double processorSeconds) {}

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
   * A fleet that sends by the clock, and one instance that counts.
   *
   * @param records records that were sent
   * @param bytes size of their values, before compression
   * @param sendSeconds time that sending took; longer than it should be if this machine can't send
   *     that fast
   * @param lagSeconds from the last record sent to the last one counted
   * @param processorSeconds of the instance's stream threads
   */
  public record Scale(
      Model model,
      int replicas,
      Duration interval,
      long records,
      long bytes,
      double sendSeconds,
      double lagSeconds,
      double processorSeconds) {

    /** Records a second that the whole fleet sends. */
    public double fleetRate() {
      return replicas * model.layers() / (interval.toMillis() / 1e3);
    }

    /** Processors that the fleet keeps busy. */
    public double processors() {
      return fleetRate() * processorSeconds / records;
    }
  }

  /**
   * @param bootstrapServers a broker without topics
   * @param stateFolder for the lock files of the streams client
   */
  public StreamsBenchmark(String bootstrapServers, String stateFolder) {
    this.bootstrapServers = bootstrapServers;
    this.stateFolder = stateFolder;
  }

  /**
   * Nanoseconds of one processor for each token in all layers of a model, that a tap takes to
   * combine decisions and to write a record of them.
   *
   * @param tokens tokens in a record
   */
  public static double combiningNanosPerToken(Model model, int tokens, long seed) {
    int[][] ids = new int[model.layers()][];
    for (int layer = 0; layer < model.layers(); layer++) {
      ids[layer] = SyntheticTraffic.ids(model.experts(), model.topK(), tokens, 1, seed + layer);
    }
    int rounds = Math.max(2, 200_000 / tokens);
    long begin = 0;
    for (int round = -rounds; round < rounds; round++) {
      if (round == 0) {
        begin = processorNanos(Thread.currentThread());
      }
      for (int layer = 0; layer < model.layers(); layer++) {
        Accumulator sums = Usage.accumulator(model.experts(), model.topK());
        UsageRecordFormat.write(
            new UsageRecord(
                Fleet.key(model, layer),
                "engine",
                "",
                rounds + round,
                Instant.EPOCH,
                Instant.EPOCH,
                new Combined(sums.add(ids[layer], tokens).build())));
      }
    }
    long nanos = processorNanos(Thread.currentThread()) - begin;
    return (double) nanos / rounds / tokens;
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
    createTopics(PARTITIONS);
    Fleet.Sent sent =
        new Fleet(bootstrapServers, model, mode, engines, tokens, seed)
            .sendAtOnce(steps, RECORD_SPAN);
    consume(sent.records());
    Time consumer = consume(sent.records());
    run("idle-warm-up", idle(), sent.records());
    Run idle = run("idle", idle(), sent.records());
    for (int warmUp = 0; warmUp < WARM_UPS; warmUp++) {
      run("warm-up-" + warmUp, RoutingTopology.build(RoutingConfig.DEFAULT), sent.records());
    }
    Run counted = run("counted", RoutingTopology.build(RoutingConfig.DEFAULT), sent.records());
    return new Line(
        model,
        mode,
        tokens,
        engines,
        sent.records(),
        sent.records() * tokens * model.topK(),
        sent.bytes(),
        consumer,
        idle.time(),
        counted.time(),
        counted.ageing(),
        records(Topics.USAGE, PARTITIONS) / (WARM_UPS + 1),
        changelogBytes("counted"),
        stateBytes(model, Fleet.decisions(model, mode, tokens, seed)));
  }

  /**
   * Lets a fleet send by the clock, and one instance of two threads count meanwhile.
   *
   * @param replicas engines
   * @param tokensPerSecond of each
   * @param interval for which each tap combines decisions before it sends a record a layer
   * @param steps intervals to send for
   */
  public Scale scale(
      Model model, int replicas, int tokensPerSecond, Duration interval, int steps, long seed)
      throws InterruptedException, ExecutionException {
    createTopics(model.layers());
    int tokens = Math.toIntExact(tokensPerSecond * interval.toMillis() / 1000);
    Fleet fleet = new Fleet(bootstrapServers, model, Mode.COMBINED, replicas, tokens, seed);
    try (KafkaStreams streams =
        streams("scale", RoutingTopology.build(RoutingConfig.DEFAULT), THREADS_OF_AN_INSTANCE)) {
      streams.start();
      await(() -> streams.state() == KafkaStreams.State.RUNNING);
      long processor = streamThreadNanos(streams);
      Fleet.Sent sent = fleet.sendInTime(steps, interval);
      long last = System.nanoTime();
      Progress progress = new Progress(streams);
      await(() -> progress.records() >= sent.records());
      return new Scale(
          model,
          replicas,
          interval,
          sent.records(),
          sent.bytes(),
          sent.seconds(),
          (System.nanoTime() - last) / 1e9,
          (streamThreadNanos(streams) - processor) / 1e9);
    }
  }

  private void createTopics(int partitions) throws InterruptedException, ExecutionException {
    try (Admin admin = admin()) {
      admin.createTopics(Topics.all(partitions, (short) 1)).all().get();
    }
  }

  private Time consume(long records) {
    List<TopicPartition> partitions = partitions(Topics.ROUTING, PARTITIONS);
    try (KafkaConsumer<String, byte[]> consumer = consumer()) {
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      long seen = consumer.poll(PATIENCE).count();
      long before = seen;
      long clock = System.nanoTime();
      long processor = processorNanos(Thread.currentThread());
      while (seen < records) {
        ConsumerRecords<String, byte[]> polled = consumer.poll(PATIENCE);
        if (polled.isEmpty()) {
          throw new IllegalStateException("only " + seen + " of " + records + " records came");
        }
        seen += polled.count();
      }
      double share = (double) Math.max(1, records - before) / records;
      return new Time(
          (System.nanoTime() - clock) / 1e9 / share,
          (processorNanos(Thread.currentThread()) - processor) / 1e9 / share);
    }
  }

  private KafkaConsumer<String, byte[]> consumer() {
    return new KafkaConsumer<>(
        Map.of(
            "bootstrap.servers",
            bootstrapServers,
            "isolation.level",
            "read_committed",
            "max.poll.records",
            1000,
            "max.partition.fetch.bytes",
            Topics.MAX_RECORD_BYTES,
            "receive.buffer.bytes",
            -1),
        new StringDeserializer(),
        new ByteArrayDeserializer());
  }

  private long records(String topic, int count) {
    List<TopicPartition> partitions = partitions(topic, count);
    try (KafkaConsumer<String, byte[]> consumer = consumer()) {
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      long records = 0;
      for (int polled = 1; polled > 0; records += polled) {
        polled = consumer.poll(Duration.ofSeconds(1)).count();
      }
      return records;
    }
  }

  private static List<TopicPartition> partitions(String topic, int count) {
    return IntStream.range(0, count)
        .mapToObj(partition -> new TopicPartition(topic, partition))
        .toList();
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
    try (KafkaStreams streams = streams(application, topology, 1)) {
      Progress progress = new Progress(streams);
      streams.start();
      await(() -> progress.records() > 0);
      long before = progress.records();
      long clock = System.nanoTime();
      long processor = streamThreadNanos(streams);
      long middle = before + (records - before) / 2;
      await(() -> progress.records() >= middle);
      long halfWay = progress.records();
      long processorHalfWay = streamThreadNanos(streams);
      await(() -> progress.records() >= records);
      long clockEnd = System.nanoTime();
      long processorEnd = streamThreadNanos(streams);
      double share = (double) Math.max(1, records - before) / records;
      double firstHalf = (double) (processorHalfWay - processor) / Math.max(1, halfWay - before);
      double secondHalf =
          (double) (processorEnd - processorHalfWay) / Math.max(1, records - halfWay);
      return new Run(
          new Time((clockEnd - clock) / 1e9 / share, (processorEnd - processor) / 1e9 / share),
          secondHalf / firstHalf);
    }
  }

  private KafkaStreams streams(String application, Topology topology, int threads) {
    return new KafkaStreams(
        topology,
        new StreamsSettings(
                application, bootstrapServers, stateFolder, "", threads, Duration.ofSeconds(1), 1)
            .properties());
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

  /** Reads how many routing records have been processed; looks for the metrics only once. */
  private static final class Progress {

    private final KafkaStreams streams;
    private List<Metric> processed = List.of();

    Progress(KafkaStreams streams) {
      this.streams = streams;
    }

    long records() {
      if (processed.isEmpty()) {
        processed = find();
      }
      return (long)
          processed.stream()
              .mapToDouble(metric -> ((Number) metric.metricValue()).doubleValue())
              .sum();
    }

    private List<Metric> find() {
      return List.copyOf(
          streams.metrics().values().stream()
              .filter(metric -> metric.metricName().name().equals("process-total"))
              .filter(metric -> metric.metricName().group().equals("stream-thread-metrics"))
              .toList());
    }
  }

  private static long streamThreadNanos(KafkaStreams streams) {
    List<String> names =
        streams.metadataForLocalThreads().stream().map(thread -> thread.threadName()).toList();
    ThreadMXBean threads = ManagementFactory.getThreadMXBean();
    return Arrays.stream(threads.getThreadInfo(threads.getAllThreadIds()))
        .filter(thread -> thread != null && names.contains(thread.getThreadName()))
        .mapToLong(thread -> threads.getThreadCpuTime(thread.getThreadId()))
        .sum();
  }

  private static long processorNanos(Thread thread) {
    return ManagementFactory.getThreadMXBean().getThreadCpuTime(thread.getId());
  }

  private long changelogBytes(String application) throws InterruptedException, ExecutionException {
    try (Admin admin = admin()) {
      List<Integer> brokers = new ArrayList<>();
      admin.describeCluster().nodes().get().forEach(node -> brokers.add(node.id()));
      return admin.describeLogDirs(brokers).allDescriptions().get().values().stream()
          .flatMap(folders -> folders.values().stream())
          .flatMap(folder -> folder.replicaInfos().entrySet().stream())
          .filter(
              replica ->
                  replica.getKey().topic().startsWith(application)
                      && replica.getKey().topic().endsWith("-changelog"))
          .mapToLong(replica -> replica.getValue().size())
          .sum();
    }
  }

  private Admin admin() {
    return Admin.create(Map.of("bootstrap.servers", bootstrapServers));
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
