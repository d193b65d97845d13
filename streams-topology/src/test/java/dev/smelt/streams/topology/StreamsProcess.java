package dev.smelt.streams.topology;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.streams.KafkaStreams;

/** The topology in a process of its own, so that it can be killed. */
final class StreamsProcess implements AutoCloseable {

  private final Process process;

  private StreamsProcess(Process process) {
    this.process = process;
  }

  static StreamsProcess start(String bootstrapServers, Path stateFolder) throws IOException {
    Process process =
        new ProcessBuilder(
                List.of(
                    Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                    "-Xmx256m",
                    "-XX:+UseSerialGC",
                    "-XX:TieredStopAtLevel=1",
                    "-cp",
                    System.getProperty("java.class.path"),
                    StreamsProcess.class.getName(),
                    bootstrapServers,
                    stateFolder.toString()))
            .inheritIO()
            .start();
    return new StreamsProcess(process);
  }

  /** Kills the process so that it can't clean up: SIGKILL. */
  void kill() throws InterruptedException {
    process.destroyForcibly();
    process.waitFor(10, TimeUnit.SECONDS);
  }

  @Override
  public void close() throws InterruptedException {
    kill();
  }

  static KafkaStreams streams(String bootstrapServers, Path stateFolder, String address) {
    Properties properties =
        new StreamsSettings(
                "smelt-test",
                bootstrapServers,
                stateFolder.toString(),
                address,
                1,
                config().commitInterval(),
                1)
            .properties();
    properties.put("session.timeout.ms", "2000");
    properties.put("heartbeat.interval.ms", "300");
    properties.put("producer.transaction.timeout.ms", "3000");
    properties.put("consumer.max.poll.records", "20");
    return new KafkaStreams(RoutingTopology.build(config()), properties);
  }

  static RoutingConfig config() {
    return new RoutingConfig(
        Duration.ofSeconds(1),
        Duration.ofMillis(500),
        Duration.ofMinutes(10),
        Duration.ofMinutes(5),
        Duration.ofMinutes(1),
        RoutingConfig.DEFAULT.drift());
  }

  /** Runs until it is killed. */
  public static void main(String[] arguments) throws InterruptedException {
    KafkaStreams streams = streams(arguments[0], Path.of(arguments[1]), "");
    streams.start();
    new CountDownLatch(1).await();
  }
}
