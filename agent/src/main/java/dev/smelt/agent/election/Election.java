package dev.smelt.agent.election;

import dev.smelt.agent.control.Fence;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Elects one of several agents with the same streams application id. Kafka does: they are one
 * consumer group on a topic of one partition, and who owns the partition leads. The assignment is
 * sticky, so that an agent that joins takes nothing away.
 *
 * <p>Failure semantics: when a leader dies or stands still, the broker gives the partition to
 * another after {@link #SESSION}. Before that one acts it asks the broker whether its membership is
 * of the current generation, by a commit, and takes a new term in the {@link LeaderFile}; from then
 * on the fence of the earlier leader lets nothing through. While the broker is away nobody is
 * elected and the leader goes on.
 */
public final class Election implements AutoCloseable {

  /** The topic whose one partition stands for leadership. */
  public static final String TOPIC = "smelt.leader";

  /** After so long without a sign of life a leader counts as gone. */
  public static final Duration SESSION = Duration.ofSeconds(10);

  private static final Logger LOGGER = LoggerFactory.getLogger(Election.class);
  private static final Duration POLL = Duration.ofMillis(250);
  private static final Duration CLOSE_LIMIT = Duration.ofSeconds(10);

  /** What a leader does. */
  @FunctionalInterface
  public interface Office {

    /**
     * Begins to lead; closing what this returns ends it. Both are called on a thread of the
     * election's own.
     */
    AutoCloseable enter(Fence fence) throws Exception;
  }

  private final String agent;
  private final LeaderFile file;
  private final Office office;
  private final Clock clock;
  private final KafkaConsumer<byte[], byte[]> consumer;
  private final ExecutorService leading =
      Executors.newSingleThreadExecutor(work -> new Thread(work, "smelt-leading"));
  private final Thread voter = new Thread(this::vote, "smelt-election");

  private volatile Optional<LeaderFile.Term> term = Optional.empty();
  private volatile boolean owner;
  private volatile Optional<String> failure = Optional.empty();
  private volatile Instant notBefore = Instant.MIN;
  private volatile boolean closing;

  /** Only used on the leading thread. */
  private Optional<AutoCloseable> entered = Optional.empty();

  private Election(
      Map<String, Object> client,
      String applicationId,
      String agent,
      Path folder,
      Clock clock,
      Office office) {
    this.agent = agent;
    this.file = new LeaderFile(folder, clock);
    this.office = office;
    this.clock = clock;
    Map<String, Object> properties = new HashMap<>(client);
    properties.put(ConsumerConfig.GROUP_ID_CONFIG, applicationId + "-leader");
    properties.put(
        ConsumerConfig.PARTITION_ASSIGNMENT_STRATEGY_CONFIG,
        CooperativeStickyAssignor.class.getName());
    properties.put(ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG, (int) SESSION.toMillis());
    properties.put(
        ConsumerConfig.HEARTBEAT_INTERVAL_MS_CONFIG, (int) SESSION.dividedBy(4).toMillis());
    properties.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false);
    properties.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "latest");
    this.consumer =
        new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }

  /**
   * Takes part.
   *
   * @param client properties of a client of the broker, on which {@link #TOPIC} exists
   * @param agent the name of this agent, as the others show it
   * @param folder that all agents share
   */
  public static Election join(
      Map<String, Object> client,
      String applicationId,
      String agent,
      Path folder,
      Clock clock,
      Office office) {
    Election election = new Election(client, applicationId, agent, folder, clock, office);
    election.voter.start();
    return election;
  }

  /** Why this agent, though elected, could not begin to lead. */
  public Optional<String> failure() {
    return failure;
  }

  /** Whether this agent leads. */
  public boolean leads() {
    return term.isPresent();
  }

  /** The name of the agent that leads; empty before the first election. */
  public Optional<String> leader() {
    return file.leader().map(LeaderFile.Leader::agent);
  }

  @Override
  public void close() {
    closing = true;
    resign();
    leading.shutdown();
    join(leading);
    consumer.wakeup();
    try {
      voter.join(CLOSE_LIMIT.toMillis());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void vote() {
    try (consumer) {
      consumer.subscribe(List.of(TOPIC), new Ownership());
      while (!closing) {
        consumer.poll(POLL);
        boolean lost = term.filter(mine -> !mine.lasts()).isPresent();
        if (lost) {
          resign();
        }
        if (owner && term.isEmpty() && !closing && waited() && confirmed()) {
          take();
        }
      }
    } catch (WakeupException closed) {
      LOGGER.atDebug().log("no longer taking part in the election");
    } catch (RuntimeException e) {
      LOGGER.atError().setCause(e).log("the election failed; this agent does not lead");
      resign();
    }
  }

  /** A leader that could not begin tries again, but not at once. */
  private boolean waited() {
    return !clock.instant().isBefore(notBefore);
  }

  /** Whether the broker still counts this agent as the owner. */
  private boolean confirmed() {
    try {
      consumer.commitSync(
          Map.of(new TopicPartition(TOPIC, 0), new OffsetAndMetadata(0)), SESSION.dividedBy(2));
      return true;
    } catch (WakeupException e) {
      throw e;
    } catch (KafkaException e) {
      LOGGER.atInfo().addKeyValue("reason", e.getMessage()).log("leadership is not confirmed");
      return false;
    }
  }

  private void take() {
    LeaderFile.Term mine = file.take(agent);
    term = Optional.of(mine);
    LOGGER.atInfo().addKeyValue("agent", agent).log("this agent leads");
    leading.execute(
        () -> {
          leave();
          try {
            entered = Optional.of(office.enter(mine));
            failure = Optional.empty();
          } catch (Exception e) {
            LOGGER.atError().setCause(e).log("leading failed to begin");
            failure = Optional.of(String.valueOf(e.getMessage()));
            notBefore = clock.instant().plus(SESSION);
            term = Optional.empty();
          }
        });
  }

  private void resign() {
    if (term.isPresent()) {
      term = Optional.empty();
      LOGGER.atInfo().addKeyValue("agent", agent).log("this agent no longer leads");
      leading.execute(this::leave);
    }
  }

  private void leave() {
    entered.ifPresent(
        office -> {
          try {
            office.close();
          } catch (Exception e) {
            LOGGER.atWarn().setCause(e).log("leading did not end cleanly");
          }
        });
    entered = Optional.empty();
  }

  private static void join(ExecutorService executor) {
    try {
      if (!executor.awaitTermination(2, TimeUnit.MINUTES)) {
        LOGGER.atWarn().log("leading did not end in time");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Hears from the broker whether the partition is ours. */
  private final class Ownership implements ConsumerRebalanceListener {

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
      owner |= !partitions.isEmpty();
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
      if (!partitions.isEmpty()) {
        owner = false;
        resign();
      }
    }
  }
}
