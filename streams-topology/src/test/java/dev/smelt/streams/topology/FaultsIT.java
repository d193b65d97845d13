package dev.smelt.streams.topology;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.smelt.streams.usage.Usage;
import dev.smelt.streams.usage.UsageRecord;
import dev.smelt.streams.usage.UsageRecordFormat;
import io.kroxylicious.testing.kafka.api.KafkaCluster;
import io.kroxylicious.testing.kafka.api.TerminationStyle;
import io.kroxylicious.testing.kafka.common.BrokerConfig;
import io.kroxylicious.testing.kafka.junit5ext.KafkaClusterExtension;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.streams.KafkaStreams;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/**
 * Whatever breaks, the closed windows add up to the decisions that were sent, each exactly once.
 */
@ExtendWith(KafkaClusterExtension.class)
class FaultsIT {

  private static final Duration LONG_ENOUGH = Duration.ofMinutes(3);

  @BrokerConfig(name = "group.min.session.timeout.ms", value = "1000")
  KafkaCluster broker;

  @TempDir Path folder;

  private Traffic traffic;

  @BeforeEach
  void createTopics() throws ExecutionException, InterruptedException {
    traffic = new Traffic(broker.getBootstrapServers());
  }

  @AfterEach
  void close() {
    traffic.close();
  }

  @Test
  void shouldCountOnceWhenTheProcessIsKilledDuringAWindow() throws Exception {
    try (StreamsProcess process = StreamsProcess.start(broker.getBootstrapServers(), folder)) {
      traffic.send(45);
      awaitWindows(12);
      traffic.send(13);
      process.kill();
    }
    traffic.send(20);
    traffic.finish();
    try (StreamsProcess again = StreamsProcess.start(broker.getBootstrapServers(), folder)) {
      awaitAllCounted();
    }
    assertThat(traffic.counted()).isEqualTo(traffic.sent());
  }

  @Test
  void shouldCountOnceWhenTheStateFolderIsWiped() throws Exception {
    KafkaStreams streams = start("a");
    traffic.send(45);
    awaitWindows(12);
    streams.close(LONG_ENOUGH);
    wipe(folder);

    traffic.send(20);
    traffic.finish();
    try (KafkaStreams again = start("a")) {
      awaitAllCounted();
    }
    assertThat(traffic.counted()).isEqualTo(traffic.sent());
  }

  @Test
  void shouldCountOnceWhenTheBrokerRestarts() throws Exception {
    try (KafkaStreams streams = start("a")) {
      traffic.send(45);
      awaitWindows(12);
      broker.stopNodes(node -> true, TerminationStyle.ABRUPT);
      broker.startNodes(node -> true);
      traffic.send(20);
      traffic.finish();
      awaitAllCounted();
    }
    assertThat(traffic.counted()).isEqualTo(traffic.sent());
  }

  @Test
  void shouldCountOnceWhenWorkMovesBetweenInstances() throws Exception {
    try (KafkaStreams first = start("a")) {
      traffic.send(25);
      awaitWindows(6);
      KafkaStreams second = start("b");
      await().atMost(LONG_ENOUGH).until(() -> hasTasks(first) && hasTasks(second));
      traffic.send(25);
      awaitWindows(24);
      second.close(LONG_ENOUGH);
      traffic.send(20);
      traffic.finish();
      awaitAllCounted();
    }
    assertThat(traffic.counted()).isEqualTo(traffic.sent());
  }

  @Test
  void shouldCountOnceWhenRecordsAreRepeatedAndOutOfOrder() throws Exception {
    Random random = new Random(3);
    try (KafkaStreams streams = start("a")) {
      List<UsageRecord> waiting = new ArrayList<>();
      for (int step = 0; step < 60; step++) {
        List<UsageRecord> records = traffic.next();
        waiting.addAll(records);
        waiting.addAll(records.subList(0, random.nextInt(records.size())));
        if (step % 4 == 3) {
          Collections.shuffle(waiting, random);
          waiting.forEach(traffic::send);
          waiting.clear();
        }
      }
      traffic.finish();
      awaitAllCounted();
    }
    assertThat(traffic.counted()).isEqualTo(traffic.sent());
    assertThat(traffic.closedWindows().stream().mapToLong(window -> window.duplicates()).sum())
        .isPositive();
  }

  @Test
  void shouldCountTheRestWhenSomeRecordsArePoison() throws Exception {
    try (KafkaStreams streams = start("a")) {
      for (int step = 0; step < 30; step++) {
        List<UsageRecord> records = traffic.next();
        records.forEach(traffic::send);
        byte[] whole = UsageRecordFormat.write(records.get(0));
        traffic.send(records.get(0).key().toString(), Arrays.copyOf(whole, whole.length - 1));
        traffic.send("not/a layer", new byte[] {7});
      }
      traffic.finish();
      awaitAllCounted();
    }
    assertThat(traffic.counted()).isEqualTo(traffic.sent());
    List<ConsumerRecord<String, byte[]>> dead = traffic.committed(Topics.DEAD, 1);
    assertThat(dead).hasSize(60).allMatch(letter -> new String(reason(letter)).equals("damaged"));
  }

  private static byte[] reason(ConsumerRecord<String, byte[]> letter) {
    return letter.headers().lastHeader(DeadLetters.REASON).value();
  }

  private KafkaStreams start(String name) throws IOException {
    Path state = Files.createDirectories(folder.resolve(name));
    KafkaStreams streams = StreamsProcess.streams(broker.getBootstrapServers(), state, "");
    streams.start();
    return streams;
  }

  private static boolean hasTasks(KafkaStreams streams) {
    return streams.state() == KafkaStreams.State.RUNNING
        && streams.metadataForLocalThreads().stream()
            .anyMatch(thread -> !thread.activeTasks().isEmpty());
  }

  private void awaitWindows(int count) {
    await().atMost(LONG_ENOUGH).until(() -> traffic.closedWindows().size() >= count);
  }

  private void awaitAllCounted() {
    long sent = decisions(traffic.sent());
    await().atMost(LONG_ENOUGH).until(() -> decisions(traffic.counted()) >= sent);
  }

  private static long decisions(Map<String, Usage> usage) {
    return usage.values().stream().mapToLong(layer -> layer.decisions()).sum();
  }

  private static void wipe(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
    Files.createDirectories(folder);
  }
}
