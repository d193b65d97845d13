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
import dev.smelt.streams.usage.LayerKey;
import dev.smelt.streams.usage.PackedIds;
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
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;

/**
 * How fast the topology counts, next to a consumer that polls the same records and does nothing:
 * one thread each, on one broker. Times are those of the thread's processor, so that other work on
 * the machine hardly disturbs them, and of the clock.
 *
 * <p>Each measurement needs a fresh broker: it creates the topics of {@link Topics}.
 */
public final class StreamsBenchmark {

  private static final int PARTITIONS = 4;
  private static final int VARIANTS = 4;
  private static final int TOKENS_PER_RECORD = 4096;
  private static final Duration RECORD_SPAN = Duration.ofMillis(250);
  private static final Duration PATIENCE = Duration.ofMinutes(5);

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
   * Time that one thread took.
   *
   * @param clockSeconds by the clock, from the first record to the last
   * @param processorSeconds by the thread's processor
   */
  public record Time(double clockSeconds, double processorSeconds) {}

  /**
   * One line of the result.
   *
   * @param records records in the topic
   * @param decisions decisions in them
   * @param bytes size of their values
   * @param consumer time of the consumer that does nothing
   * @param topology time of the topology's stream thread
   * @param changelogBytes size of what the topology wrote to its changelogs
   * @param stateBytesPerLayer size of the state of one layer, written down: open window, profile,
   *     reference
   */
  public record Line(
      Model model,
      Mode mode,
      long records,
      long decisions,
      long bytes,
      Time consumer,
      Time topology,
      long changelogBytes,
      long stateBytesPerLayer) {

    /** Records a second of the topology over those of the consumer, by the processor's time. */
    public double relativeSpeed() {
      return consumer.processorSeconds() / topology.processorSeconds();
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
    this.bootstrapServers = bootstrapServers;
    this.stateFolder = stateFolder;
  }

  /**
   * Nanoseconds of one processor that combining takes at the tap, for each token in all layers of a
   * model.
   */
  public static double combiningNanosPerToken(Model model, long seed) {
    int[][] ids = new int[model.layers()][];
    Accumulator[] sums = new Accumulator[model.layers()];
    for (int layer = 0; layer < model.layers(); layer++) {
      ids[layer] = ids(model, seed + layer, 1);
      sums[layer] = Usage.accumulator(model.experts(), model.topK());
    }
    int rounds = 60;
    long begin = 0;
    for (int round = -rounds; round < rounds; round++) {
      if (round == 0) {
        begin = processorNanos(Thread.currentThread());
      }
      for (int layer = 0; layer < model.layers(); layer++) {
        sums[layer].add(ids[layer], TOKENS_PER_RECORD);
      }
    }
    long nanos = processorNanos(Thread.currentThread()) - begin;
    return (double) nanos / rounds / TOKENS_PER_RECORD;
  }

  /**
   * Measures one model in one mode.
   *
   * @param megabytes how much to send, roughly
   */
  public Line measure(Model model, Mode mode, int megabytes, long seed)
      throws InterruptedException, ExecutionException {
    List<List<Decisions>> variants = variants(model, mode, seed);
    long recordBytes =
        UsageRecordFormat.write(record(model, 0, variants.get(0).get(0), 0, Instant.now())).length;
    int steps =
        (int) Math.max(4, Math.min(20_000, megabytes * 1_000_000L / recordBytes / model.layers()));
    String application = "smelt-benchmark-" + model.name() + "-" + mode.ordinal();
    createTopics();
    long bytes = send(model, variants, steps);
    long records = (long) steps * model.layers();
    consume(records);
    Time consumer = consume(records);
    Time topology = count(application, records);
    return new Line(
        model,
        mode,
        records,
        records * TOKENS_PER_RECORD * model.topK(),
        bytes,
        consumer,
        topology,
        changelogBytes(application),
        stateBytes(model, variants.get(0).get(0)));
  }

  private void createTopics() throws InterruptedException, ExecutionException {
    try (Admin admin = admin()) {
      admin.createTopics(Topics.all(PARTITIONS, (short) 1)).all().get();
    }
  }

  private long send(Model model, List<List<Decisions>> variants, int steps) {
    Instant begin =
        Instant.now().minus(RECORD_SPAN.multipliedBy(steps)).minus(Duration.ofMinutes(1));
    long bytes = 0;
    try (KafkaProducer<String, byte[]> producer =
        new KafkaProducer<>(
            Map.of(
                "bootstrap.servers",
                bootstrapServers,
                "acks",
                "1",
                "enable.idempotence",
                false,
                "linger.ms",
                20,
                "batch.size",
                256 * 1024,
                "max.request.size",
                Topics.MAX_RECORD_BYTES),
            new StringSerializer(),
            new ByteArraySerializer())) {
      for (int step = 0; step < steps; step++) {
        Instant at = begin.plus(RECORD_SPAN.multipliedBy(step));
        for (int layer = 0; layer < model.layers(); layer++) {
          UsageRecord record =
              record(model, layer, variants.get(step % VARIANTS).get(layer), step, at);
          byte[] value = UsageRecordFormat.write(record);
          bytes += value.length;
          producer.send(new ProducerRecord<>(Topics.ROUTING, record.key().toString(), value));
        }
      }
      producer.flush();
    }
    return bytes;
  }

  private Time consume(long records) {
    List<TopicPartition> partitions =
        IntStream.range(0, PARTITIONS)
            .mapToObj(partition -> new TopicPartition(Topics.ROUTING, partition))
            .toList();
    try (KafkaConsumer<String, byte[]> consumer =
        new KafkaConsumer<>(
            Map.of(
                "bootstrap.servers",
                bootstrapServers,
                "isolation.level",
                "read_committed",
                "max.poll.records",
                1000),
            new StringDeserializer(),
            new ByteArrayDeserializer())) {
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      long seen = consumer.poll(PATIENCE).count();
      long clock = System.nanoTime();
      long processor = processorNanos(Thread.currentThread());
      while (seen < records) {
        ConsumerRecords<String, byte[]> polled = consumer.poll(PATIENCE);
        if (polled.isEmpty()) {
          throw new IllegalStateException("only " + seen + " of " + records + " records came");
        }
        seen += polled.count();
      }
      return new Time(
          (System.nanoTime() - clock) / 1e9,
          (processorNanos(Thread.currentThread()) - processor) / 1e9);
    }
  }

  private Time count(String application, long records) throws InterruptedException {
    Properties properties =
        new StreamsSettings(
                application, bootstrapServers, stateFolder, "", 1, Duration.ofSeconds(1), 1)
            .properties();
    try (KafkaStreams streams =
        new KafkaStreams(RoutingTopology.build(RoutingConfig.DEFAULT), properties)) {
      streams.start();
      long deadline = System.nanoTime() + PATIENCE.toNanos();
      long clock = 0;
      long processor = 0;
      long before = 0;
      double counted = 0;
      while (counted < records) {
        if (System.nanoTime() > deadline) {
          throw new IllegalStateException("only " + counted + " of " + records + " were counted");
        }
        Thread.sleep(1);
        counted = total(streams, "records-counted-total");
        if (clock == 0 && counted > 0) {
          before = (long) counted;
          clock = System.nanoTime();
          processor = streamThreadNanos(streams);
        }
      }
      double share = (double) (records - before) / records;
      return new Time(
          (System.nanoTime() - clock) / 1e9 / share,
          (streamThreadNanos(streams) - processor) / 1e9 / share);
    }
  }

  private static double total(KafkaStreams streams, String name) {
    return streams.metrics().entrySet().stream()
        .filter(metric -> metric.getKey().name().equals(name))
        .mapToDouble(metric -> ((Number) metric.getValue().metricValue()).doubleValue())
        .sum();
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
        new UsageWindow(key(model, 0), Instant.EPOCH, end, decisions.usage(), 40, 0, 0, 0);
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

  private static List<List<Decisions>> variants(Model model, Mode mode, long seed) {
    List<List<Decisions>> variants = new ArrayList<>();
    for (int variant = 0; variant < VARIANTS; variant++) {
      List<Decisions> layers = new ArrayList<>();
      for (int layer = 0; layer < model.layers(); layer++) {
        int[] ids = ids(model, seed + 1000L * variant + layer, TOKENS_PER_RECORD / 200);
        layers.add(
            mode == Mode.RAW
                ? PackedIds.pack(model.experts(), model.topK(), ids, TOKENS_PER_RECORD, 20)
                : new Combined(
                    Usage.accumulator(model.experts(), model.topK())
                        .add(ids, TOKENS_PER_RECORD)
                        .addRequests(20)
                        .build()));
      }
      variants.add(layers);
    }
    return variants;
  }

  private static int[] ids(Model model, long seed, int requests) {
    return SyntheticTraffic.ids(model.experts(), model.topK(), TOKENS_PER_RECORD, requests, seed);
  }

  private static UsageRecord record(
      Model model, int layer, Decisions decisions, long sequence, Instant at) {
    return new UsageRecord(key(model, layer), "engine", "", sequence, at, at, decisions);
  }

  private static LayerKey key(Model model, int layer) {
    return new LayerKey(model.name(), "model.layers." + layer + ".mlp");
  }
}
