package dev.smelt.streams.topology;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.smelt.streams.topology.ProfileQueries.Answer;
import dev.smelt.streams.topology.ProfileQueries.Elsewhere;
import dev.smelt.streams.topology.ProfileQueries.Found;
import dev.smelt.streams.topology.ProfileQueries.NoTraffic;
import dev.smelt.streams.topology.ProfileQueries.Unavailable;
import dev.smelt.streams.usage.LayerKey;
import io.kroxylicious.testing.kafka.api.KafkaCluster;
import io.kroxylicious.testing.kafka.common.BrokerConfig;
import io.kroxylicious.testing.kafka.junit5ext.KafkaClusterExtension;
import java.nio.file.Path;
import java.time.Duration;
import org.apache.kafka.streams.KafkaStreams;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Each profile is answered by the instance that has it, and the other one says which that is. */
@ExtendWith(KafkaClusterExtension.class)
class ProfileQueriesIT {

  @BrokerConfig(name = "group.min.session.timeout.ms", value = "1000")
  KafkaCluster broker;

  @TempDir Path folder;

  @Test
  void shouldAnswerWhereTheProfileIs() throws Exception {
    try (Traffic traffic = new Traffic(broker.getBootstrapServers());
        KafkaStreams first = streams("first", 7001);
        KafkaStreams second = streams("second", 7002)) {
      ProfileQueries atFirst = new ProfileQueries(first);
      ProfileQueries atSecond = new ProfileQueries(second);
      assertThat(atFirst.profile(Traffic.LAYERS.get(0))).isInstanceOf(Unavailable.class);
      first.start();
      second.start();
      traffic.send(30);
      traffic.finish();

      await()
          .atMost(Duration.ofSeconds(60))
          .untilAsserted(
              () -> {
                for (LayerKey key : Traffic.LAYERS) {
                  assertThat(pair(atFirst.profile(key), atSecond.profile(key), key)).isTrue();
                }
                assertThat(atFirst.localProfiles("mixtral")).isNotEmpty();
                assertThat(atSecond.localProfiles("mixtral")).isNotEmpty();
                assertThat(atFirst.localProfiles("another")).isEmpty();
              });
    }
  }

  @Test
  void shouldSayThatALayerHasHadNoTraffic() throws Exception {
    try (Traffic traffic = new Traffic(broker.getBootstrapServers());
        KafkaStreams streams = streams("only", 7001)) {
      streams.start();
      ProfileQueries queries = new ProfileQueries(streams);

      await()
          .atMost(Duration.ofSeconds(60))
          .untilAsserted(
              () ->
                  assertThat(queries.profile(Traffic.LAYERS.get(0))).isInstanceOf(NoTraffic.class));
      assertThat(traffic.sent()).isEmpty();
    }
  }

  private static boolean pair(Answer first, Answer second, LayerKey key) {
    if (first instanceof Found found) {
      return found.profile().key().equals(key) && second.equals(new Elsewhere("localhost", 7001));
    }
    return second instanceof Found found
        && found.profile().key().equals(key)
        && first.equals(new Elsewhere("localhost", 7002));
  }

  private KafkaStreams streams(String name, int port) {
    return StreamsProcess.streams(
        broker.getBootstrapServers(), folder.resolve(name), "localhost:" + port);
  }
}
