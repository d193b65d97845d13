package dev.smelt.ops;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import dev.smelt.agent.config.ConfigFile;
import dev.smelt.agent.config.SmeltConfig;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Properties;
import kafka.server.KafkaConfig;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The compose file and the systemd unit. */
class DeploymentFilesTest {

  private static final Path COMPOSE = Path.of("compose/compose.yaml");
  private static final Path UNIT = Path.of("systemd/smelt.service");
  private static final String TOKEN = "${SMELT_TOKEN:?choose a secret of at least 16 characters}";

  @TempDir private Path folder;

  @Test
  void shouldGiveTheAgentInComposeAConfigurationThatItTakes() throws IOException {
    String content = compose().at("/configs/agent/content").asText();
    assertThat(content).contains(TOKEN);
    Path file = folder.resolve("smelt.yaml");
    Files.writeString(file, content.replace(TOKEN, "0123456789abcdef"));

    SmeltConfig config = ConfigFile.read(file);

    assertThat(config.kafka().bootstrapServers()).isEqualTo("kafka:9092");
    assertThat(config.models().get(0).gate().texts())
        .allSatisfy(
            text ->
                assertThat(Path.of("..").resolve(Path.of("/opt/smelt").relativize(text))).exists());
  }

  /** The image makes a property of each variable: {@code KAFKA_LOG_DIRS} is {@code log.dirs}. */
  @Test
  void shouldGiveKafkaInComposePropertiesThatItTakesAndAFolderThatIsKept() throws IOException {
    JsonNode kafka = compose().at("/services/kafka");
    Properties properties = new Properties();
    kafka
        .path("environment")
        .properties()
        .forEach(
            variable ->
                properties.setProperty(
                    variable
                        .getKey()
                        .substring("KAFKA_".length())
                        .toLowerCase(Locale.ROOT)
                        .replace('_', '.'),
                    variable.getValue().asText()));

    assertThatCode(() -> KafkaConfig.fromProps(properties)).doesNotThrowAnyException();
    assertThat(KafkaConfig.configDef().names()).containsAll(properties.stringPropertyNames());
    assertThat(kafka.path("volumes"))
        .map(volume -> volume.asText().replaceAll(".*:", ""))
        .contains(properties.getProperty("log.dirs"));
  }

  @Test
  void shouldMountOnlyWhatThereIs() throws IOException {
    JsonNode compose = compose();
    List<String> sources = new ArrayList<>();
    compose
        .path("services")
        .forEach(
            service ->
                service
                    .path("volumes")
                    .forEach(volume -> sources.add(volume.asText().split(":", 2)[0])));
    assertThat(sources)
        .isNotEmpty()
        .allMatch(
            source ->
                source.startsWith(".")
                    ? Files.exists(Path.of("compose").resolve(source))
                    : compose.path("volumes").has(source));
    compose
        .path("services")
        .forEach(
            service ->
                service
                    .path("configs")
                    .forEach(
                        config ->
                            assertThat(compose.path("configs").has(config.path("source").asText()))
                                .isTrue()));
  }

  @Test
  void shouldRunTheEngineInComposeAsItsCommandIsTyped() throws IOException {
    JsonNode engine = compose().at("/services/engine");
    assertThat(engine.at("/entrypoint/4").asText()).isEqualTo("dev.smelt.engine.ReferenceEngine");
    assertThat(engine.path("command"))
        .map(JsonNode::asText)
        .contains("--checkpoint", "--model", "--host", "--port");
    assertThat(compose().at("/services/agent/image")).isEqualTo(engine.path("image"));
  }

  @Test
  void shouldScrapeTheAgentInComposeWithRulesThatPrometheusTakes() throws Exception {
    Path promtool = Path.of("/usr/bin/promtool");
    assumeTrue(Files.isExecutable(promtool), "no promtool; install Debian's package prometheus");
    Path file = folder.resolve("prometheus.yml");
    Files.writeString(file, compose().at("/configs/prometheus/content").asText());
    Files.copy(Path.of("prometheus/smelt-alerts.yml"), folder.resolve("smelt-alerts.yml"));

    run(List.of(promtool.toString(), "check", "config", file.toString()));
  }

  @Test
  void shouldHaveAUnitThatSystemdTakes() throws Exception {
    Path systemd = Path.of("/usr/bin/systemd-analyze");
    assumeTrue(Files.isExecutable(systemd), "no systemd-analyze; install Debian's package systemd");
    // The program is not installed where the unit expects it; another one has to do.
    Path unit = folder.resolve("smelt.service");
    Files.writeString(unit, Files.readString(UNIT).replace("/opt/smelt/bin/smelt", "/usr/bin/env"));

    run(List.of(systemd.toString(), "verify", "--man=no", unit.toString()));
  }

  @Test
  void shouldHaveAUnitWhoseCommandsAreTypedAsTheyMustBe() throws IOException {
    List<String> commands =
        Files.readString(UNIT)
            .lines()
            .filter(line -> line.startsWith("ExecStart"))
            .map(line -> line.substring(line.indexOf('=') + 1))
            .toList();
    assertThat(commands).hasSize(2);
    for (String command : commands) {
      List<String> words = CommandWords.of(command);
      assertThat(words.get(0)).isEqualTo("/opt/smelt/bin/smelt");
      Smelt.commandLine().parseArgs(words.subList(1, words.size()).toArray(String[]::new));
    }
  }

  private static JsonNode compose() throws IOException {
    return new YAMLMapper().readTree(COMPOSE.toFile());
  }

  private static void run(List<String> command) throws Exception {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(said).isZero();
  }
}
