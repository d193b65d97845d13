package dev.smelt.streams.topology;

import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.NewTopic;

/**
 * Names and properties of the topics. All are keyed {@code model/layer} unless it says otherwise.
 */
public final class Topics {

  /** Usage records from the taps. */
  public static final String ROUTING = "smelt.routing";

  /** Records that were not counted, as they came, with the reason in their headers. */
  public static final String DEAD = "smelt.routing.dead";

  /** Usage of closed windows. */
  public static final String USAGE = "smelt.usage";

  /** What the active snapshot was made for; compacted. */
  public static final String BASELINE = "smelt.baseline";

  /** Drift of each layer and, keyed {@code model}, of each model. */
  public static final String DRIFT = "smelt.drift";

  /** Largest record: a layer of 512 experts with its logit Gram takes about 2.5 MB. */
  public static final int MAX_RECORD_BYTES = 8 * 1024 * 1024;

  private Topics() {}

  /**
   * The topics to create before the topology starts. {@link #ROUTING} and {@link #BASELINE} must
   * have the same number of partitions, because a layer's records and its baseline meet in one
   * task.
   *
   * @param partitions at most as many as there are layers; the upper limit of tasks that share the
   *     work
   * @param replication copies of each record
   */
  public static List<NewTopic> all(int partitions, short replication) {
    Map<String, String> large = Map.of("max.message.bytes", Integer.toString(MAX_RECORD_BYTES));
    Map<String, String> compacted =
        Map.of(
            "max.message.bytes", Integer.toString(MAX_RECORD_BYTES), "cleanup.policy", "compact");
    return List.of(
        new NewTopic(ROUTING, partitions, replication).configs(large),
        new NewTopic(DEAD, 1, replication).configs(large),
        new NewTopic(USAGE, partitions, replication).configs(large),
        new NewTopic(BASELINE, partitions, replication).configs(compacted),
        new NewTopic(DRIFT, 1, replication));
  }
}
