package dev.smelt.agent.broker;

import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import kafka.server.KafkaConfig;
import kafka.server.KafkaRaftServer;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.metadata.storage.Formatter;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A Kafka broker of one node in this process, bound to loopback, its log kept in a folder.
 *
 * <p>It is for a sidecar that has no Kafka to talk to: the same client code, the same topics and
 * the same guarantees as with a cluster, except that nothing is replicated.
 *
 * <p>Failure semantics: the folder is formatted on first use and never again; a crash leaves a log
 * that Kafka recovers at the next start. Both ports may change from one start to the next.
 */
public final class EmbeddedBroker implements AutoCloseable {

  private static final Logger LOGGER = LoggerFactory.getLogger(EmbeddedBroker.class);
  private static final String CONTROLLER = "CONTROLLER";
  private static final String NODE = "1";

  /** The same at every start, so that a folder formatted earlier is recognised. */
  private static final String CLUSTER_ID = "c21lbHQtZW1iZWRkZWQwMA";

  private final KafkaRaftServer server;
  private final String bootstrapServers;

  private EmbeddedBroker(KafkaRaftServer server, String bootstrapServers) {
    this.server = server;
    this.bootstrapServers = bootstrapServers;
  }

  /**
   * Starts the broker and returns when it accepts clients.
   *
   * @param folder where the log is kept; created when absent
   * @throws UncheckedIOException when the folder cannot be created or formatted
   */
  public static EmbeddedBroker start(Path folder) {
    try {
      Files.createDirectories(folder);
      int brokerPort = freePort();
      Properties settings = settings(folder, brokerPort, freePort());
      format(folder);
      KafkaRaftServer server =
          new KafkaRaftServer(KafkaConfig.fromProps(settings, false), Time.SYSTEM);
      server.startup();
      String bootstrapServers = "127.0.0.1:" + brokerPort;
      LOGGER
          .atInfo()
          .addKeyValue("bootstrapServers", bootstrapServers)
          .addKeyValue("folder", folder)
          .log("embedded Kafka broker started");
      return new EmbeddedBroker(server, bootstrapServers);
    } catch (IOException e) {
      throw new UncheckedIOException(
          folder + ": the embedded Kafka broker cannot use this folder: " + e.getMessage(), e);
    }
  }

  /** The address for {@code bootstrap.servers}. */
  public String bootstrapServers() {
    return bootstrapServers;
  }

  @Override
  public void close() {
    server.shutdown();
    server.awaitShutdown();
  }

  private static Properties settings(Path folder, int brokerPort, int controllerPort) {
    Properties settings = new Properties();
    settings.put("process.roles", "broker,controller");
    settings.put("node.id", NODE);
    settings.put("controller.quorum.voters", NODE + "@127.0.0.1:" + controllerPort);
    settings.put("controller.listener.names", CONTROLLER);
    settings.put(
        "listeners",
        "PLAINTEXT://127.0.0.1:"
            + brokerPort
            + ","
            + CONTROLLER
            + "://127.0.0.1:"
            + controllerPort);
    settings.put("inter.broker.listener.name", "PLAINTEXT");
    settings.put("log.dirs", folder.toString());
    settings.put("offsets.topic.replication.factor", "1");
    settings.put("offsets.topic.num.partitions", "1");
    settings.put("transaction.state.log.replication.factor", "1");
    settings.put("transaction.state.log.min.isr", "1");
    settings.put("transaction.state.log.num.partitions", "1");
    settings.put("share.coordinator.state.topic.replication.factor", "1");
    settings.put("share.coordinator.state.topic.min.isr", "1");
    settings.put("group.initial.rebalance.delay.ms", "0");
    settings.put("auto.create.topics.enable", "false");
    settings.put("log.retention.hours", "24");
    settings.put("log.segment.bytes", String.valueOf(64 << 20));
    settings.put("log.cleaner.dedupe.buffer.size", String.valueOf(16 << 20));
    return settings;
  }

  private static void format(Path folder) throws IOException {
    try (PrintStream quiet =
        new PrintStream(OutputStream.nullOutputStream(), false, StandardCharsets.UTF_8)) {
      new Formatter()
          .setPrintStream(quiet)
          .setClusterId(CLUSTER_ID)
          .setNodeId(Integer.parseInt(NODE))
          .setControllerListenerName(CONTROLLER)
          .setMetadataLogDirectory(folder.toString())
          .addDirectory(folder.toString())
          .setIgnoreFormatted(true)
          .run();
    } catch (IOException e) {
      throw e;
    } catch (Exception e) {
      throw new IOException(e.getMessage(), e);
    }
  }

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    }
  }
}
