package dev.smelt.agent.election;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.smelt.agent.broker.EmbeddedBroker;
import dev.smelt.agent.config.KafkaSettings;
import dev.smelt.agent.traffic.TrafficMonitor;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(120)
class ElectionIT {

  private static final Duration LIMIT = Duration.ofSeconds(40);

  @TempDir static Path shared;
  private static EmbeddedBroker broker;

  @TempDir Path folder;
  private final List<String> acting = new CopyOnWriteArrayList<>();

  @BeforeAll
  static void startBroker() throws IOException {
    broker = EmbeddedBroker.start(shared.resolve("kafka"));
    TrafficMonitor.createTopics(broker.bootstrapServers(), new KafkaSettings("", null, null));
  }

  @AfterAll
  static void stopBroker() {
    broker.close();
  }

  @Test
  void shouldElectOneAndAnotherWhenThatOneLeaves() {
    Election first = join("first", "leaves");
    await().atMost(LIMIT).untilAsserted(() -> assertThat(acting).containsExactly("first"));
    Election second = join("second", "leaves");
    try (second) {
      first.close();

      await().atMost(LIMIT).untilAsserted(() -> assertThat(acting).containsExactly("second"));
      assertThat(second.leader()).contains("second");
      assertThat(first.leads()).isFalse();
    }
    assertThat(acting).isEmpty();
  }

  @Test
  void shouldLeadAgainWhenAnotherTookTheTermWithoutBeingElected() {
    try (Election election = join("elected", "term")) {
      await().atMost(LIMIT).untilAsserted(() -> assertThat(acting).containsExactly("elected"));

      LeaderFile.Term usurped = new LeaderFile(folder, Clock.systemUTC()).take("usurper");

      await().atMost(LIMIT).until(() -> !usurped.lasts());
      await().atMost(LIMIT).untilAsserted(() -> assertThat(acting).containsExactly("elected"));
      assertThat(election.leader()).contains("elected");
    }
  }

  @Test
  void shouldSayWhyAnElectedAgentCannotAct() {
    try (Election election =
        Election.join(
            Map.of("bootstrap.servers", broker.bootstrapServers()),
            "fails",
            "failing",
            folder,
            Clock.systemUTC(),
            fence -> {
              throw new IllegalStateException("state.json: unreadable");
            })) {
      await()
          .atMost(LIMIT)
          .untilAsserted(() -> assertThat(election.failure()).contains("state.json: unreadable"));
      assertThat(election.leads()).isFalse();
    }
  }

  private Election join(String agent, String group) {
    return Election.join(
        Map.of("bootstrap.servers", broker.bootstrapServers()),
        group,
        agent,
        folder,
        Clock.systemUTC(),
        fence -> {
          fence.guard(() -> acting.add(agent));
          return () -> acting.remove(agent);
        });
  }
}
