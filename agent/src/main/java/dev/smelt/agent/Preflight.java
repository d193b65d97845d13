package dev.smelt.agent;

import dev.smelt.agent.config.CompressionSettings;
import dev.smelt.agent.config.GateSettings;
import dev.smelt.agent.config.ModelSettings;
import dev.smelt.agent.config.SmeltConfig;
import dev.smelt.agent.merge.Alignment;
import dev.smelt.agent.plan.Similarity;
import dev.smelt.agent.plan.Strategy;
import dev.smelt.agent.traffic.TrafficMonitor;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.KafkaException;

/**
 * What can be known about a configuration without starting anything: every path is opened, every
 * name looked up, every Kafka property read. Nothing is listened on or written.
 *
 * @param blocks how many blocks with experts each model's checkpoint has, by model
 * @param problems what would not work, each as {@code setting: what to do}
 */
public record Preflight(Map<String, Integer> blocks, List<String> problems) {

  /** Examines it all; a problem does not hide the next one. */
  public static Preflight of(SmeltConfig config) throws IOException {
    Map<String, Integer> blocks = new TreeMap<>();
    List<String> problems = new ArrayList<>();
    examine(
        "data", problems, () -> FreeSpace.require(config.data(), FreeSpace.LEAST_TO_START_BYTES));
    if (config.api().tls() != null) {
      readable("api.tls.certificate", config.api().tls().certificate(), problems);
      readable("api.tls.key", config.api().tls().key(), problems);
    }
    if (!config.kafka().embedded()) {
      examine("kafka", problems, () -> readable(config));
    }
    for (int index = 0; index < config.models().size(); index++) {
      ModelSettings model = config.models().get(index);
      String path = "models[" + index + "].";
      int most = Integer.MAX_VALUE;
      try (Checkpoint checkpoint = Checkpoint.open(model.checkpoint())) {
        blocks.put(model.name(), checkpoint.blocks().size());
        most = checkpoint.blocks().stream().mapToInt(MoeBlock::experts).max().orElse(0);
      } catch (RuntimeException unusable) {
        problems.add(
            path
                + "checkpoint: "
                + (Files.exists(model.checkpoint())
                    ? unusable.getMessage()
                    : model.checkpoint() + ": no such folder"));
      }
      if (model.engine().apiKeyFile() != null) {
        readable(path + "engine.apiKeyFile", model.engine().apiKeyFile(), problems);
      }
      compression(path + "compression.", model.compression(), most, problems);
      gate(path + "gate.texts: ", model.gate(), problems);
    }
    return new Preflight(blocks, List.copyOf(problems));
  }

  private static void readable(String setting, Path file, List<String> problems) {
    if (!Files.isReadable(file) || Files.isDirectory(file)) {
      problems.add(setting + ": " + file + ": no such file, or it cannot be read");
    }
  }

  private static void compression(
      String path, CompressionSettings settings, int most, List<String> problems)
      throws IOException {
    for (String strategy : settings.strategies()) {
      examine(path + "strategy", problems, () -> Strategy.named(strategy));
    }
    examine(path + "similarity", problems, () -> Similarity.named(settings.similarity()));
    examine(path + "align", problems, () -> Alignment.named(settings.align()));
    Double groups = settings.averageGroups();
    if (groups != null && groups > most) {
      problems.add(path + "averageGroups: a layer has " + most + " experts; use fewer than that");
    }
  }

  private static void gate(String path, GateSettings settings, List<String> problems)
      throws IOException {
    for (Path text : settings.texts()) {
      if (!Files.isReadable(text) || Files.isDirectory(text)) {
        problems.add(path + text + ": no such file, or it cannot be read");
      } else if (Files.size(text) == 0) {
        problems.add(path + text + ": empty; give the gate held-out text");
      }
    }
  }

  /** Lets the client read its properties; its connecting in the background is cut short. */
  private static void readable(SmeltConfig config) {
    try {
      Admin.create(TrafficMonitor.client(config.kafka().bootstrapServers(), config.kafka()))
          .close(Duration.ZERO);
    } catch (KafkaException e) {
      Throwable origin = e;
      while (origin.getCause() != null) {
        origin = origin.getCause();
      }
      throw new IllegalArgumentException(origin.getMessage(), e);
    }
  }

  private interface Examination {
    void run() throws IOException;
  }

  private static void examine(String setting, List<String> problems, Examination examination)
      throws IOException {
    try {
      examination.run();
    } catch (RuntimeException unusable) {
      problems.add(setting + ": " + unusable.getMessage());
    }
  }
}
