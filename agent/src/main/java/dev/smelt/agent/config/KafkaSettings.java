package dev.smelt.agent.config;

import java.util.Map;

/**
 * Which Kafka to use.
 *
 * @param bootstrapServers addresses as Kafka takes them; empty (the default) starts a broker of one
 *     node in this process
 * @param properties further client properties, passed to every client as they are (security,
 *     timeouts)
 * @param replication copies of each topic that the agent creates; 1 by default
 */
public record KafkaSettings(
    String bootstrapServers, Map<String, String> properties, Integer replication) {

  static final KafkaSettings EMBEDDED = new KafkaSettings("", Map.of(), 1);

  public KafkaSettings {
    bootstrapServers = Settings.orElse(bootstrapServers, "").trim();
    properties = Map.copyOf(Settings.orElse(properties, Map.of()));
    replication = Settings.orElse(replication, 1);
    Settings.require(
        replication >= 1 && replication <= Short.MAX_VALUE, "replication", "use 1 or more");
  }

  /** Whether a broker is to be started in this process. */
  public boolean embedded() {
    return bootstrapServers.isEmpty();
  }
}
