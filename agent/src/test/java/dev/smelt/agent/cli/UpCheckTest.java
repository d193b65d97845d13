package dev.smelt.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.smelt.agent.inference.TinyCheckpoint;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

class UpCheckTest {

  @TempDir private Path folder;

  private Path checkpoint;
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  @BeforeEach
  void write() throws IOException {
    checkpoint = new TinyCheckpoint(1).write(folder.resolve("tiny"));
    Files.writeString(folder.resolve("held-out.txt"), "text to judge by");
  }

  @Test
  void shouldSayThatAConfigurationCanBeUsedAndWriteNothing() throws IOException {
    assertThat(check("", "gate: {texts: [held-out.txt]}")).isZero();

    assertThat(out.toString()).contains("tiny: 2 blocks with experts", "can be used");
    assertThat(err.toString()).isEmpty();
    assertThat(folder.resolve("data")).doesNotExist();
  }

  @Test
  void shouldNameEveryProblemAndNotOnlyTheFirst() throws IOException {
    Files.createFile(folder.resolve("empty.txt"));

    int exitCode =
        check(
            "",
            """
            compression: {strategy: best, similarity: looks, align: sideways, averageGroups: 60}
                gate: {texts: [nowhere.txt, empty.txt]}""");

    assertThat(exitCode).isEqualTo(1);
    assertThat(problems())
        .hasSize(6)
        .anyMatch(line -> line.contains("models[0].compression.strategy: unknown strategy 'best'"))
        .anyMatch(line -> line.contains("models[0].compression.similarity: unknown similarity"))
        .anyMatch(line -> line.contains("models[0].compression.align: unknown alignment"))
        .anyMatch(line -> line.contains("averageGroups: a layer has 6 experts"))
        .anyMatch(line -> line.contains("nowhere.txt: no such file"))
        .anyMatch(line -> line.contains("empty.txt: empty"));
  }

  @Test
  void shouldLookForTheEnginesKeyBesideTheConfiguration() throws IOException {
    String names = "engine: {urls: ['http://127.0.0.1:1'], dialect: sglang, apiKeyFile: key}";

    assertThat(checkEngine(names)).isEqualTo(1);
    assertThat(problems())
        .singleElement()
        .asString()
        .contains("models[0].engine.apiKeyFile: " + folder.resolve("key"));

    Files.writeString(folder.resolve("key"), "s3cret");
    assertThat(checkEngine(names)).isZero();
  }

  @Test
  void shouldNameAMissingCheckpoint() throws IOException {
    checkpoint = folder.resolve("nowhere");

    assertThat(check("", "")).isEqualTo(1);
    assertThat(problems())
        .singleElement()
        .asString()
        .startsWith("smelt: ")
        .contains("models[0].checkpoint: ")
        .endsWith("nowhere: no such folder");
  }

  @Test
  void shouldNameAKafkaPropertyThatKafkaRefuses() throws IOException {
    assertThat(check(kafka("security.protocol: SASL_LOUD"), "")).isEqualTo(1);
    assertThat(problems()).singleElement().asString().contains("kafka: ", "SASL_LOUD");
  }

  @Test
  void shouldNameAMissingTruststore() throws IOException {
    assertThat(
            check(
                kafka("security.protocol: SSL, ssl.truststore.location: " + folder + "/none.p12"),
                ""))
        .isEqualTo(1);
    assertThat(problems()).singleElement().asString().contains("kafka: ", "none.p12");
  }

  @Test
  void shouldTakeKafkaWithSaslAndTls() throws IOException {
    String login =
        "org.apache.kafka.common.security.scram.ScramLoginModule required"
            + " username=\\\"smelt\\\" password=\\\"secret\\\";";
    String properties =
        "security.protocol: SASL_SSL, sasl.mechanism: SCRAM-SHA-512, sasl.jaas.config: \""
            + login
            + "\"";

    assertThat(check(kafka(properties), "")).as(err::toString).isZero();
  }

  @Test
  void shouldPrintTheFindingsAsJson() throws IOException {
    check("", "gate: {texts: [nowhere.txt]}", "--json");

    JsonNode found = new ObjectMapper().readTree(out.toString());
    assertThat(found.path("usable").asBoolean()).isFalse();
    assertThat(found.path("blocks").path("tiny").asInt()).isEqualTo(2);
    assertThat(found.path("problems").path(0).asText()).contains("nowhere.txt");
  }

  private static String kafka(String properties) {
    return "kafka: {bootstrapServers: \"127.0.0.1:1\", properties: {" + properties + "}}";
  }

  private List<String> problems() {
    return err.toString().lines().filter(line -> line.startsWith("smelt: ")).toList();
  }

  private int check(String global, String ofModel, String... more) throws IOException {
    return run(global, "engine: {urls: [\"http://127.0.0.1:1\"], dialect: sglang}", ofModel, more);
  }

  private int checkEngine(String engine) throws IOException {
    return run("", engine, "");
  }

  private int run(String global, String engine, String ofModel, String... more) throws IOException {
    Path file =
        Files.writeString(
            folder.resolve("smelt.yaml"),
            """
            data: data
            %s
            models:
              - name: tiny
                checkpoint: "%s"
                %s
                %s
            """
                .formatted(global, checkpoint, engine, ofModel));
    CommandLine commandLine = SmeltCommand.commandLine();
    commandLine.setOut(new PrintWriter(out, true));
    commandLine.setErr(new PrintWriter(err, true));
    String[] arguments = {"up", "--check", "-c", file.toString()};
    String[] all = java.util.Arrays.copyOf(arguments, arguments.length + more.length);
    System.arraycopy(more, 0, all, arguments.length, more.length);
    return commandLine.execute(all);
  }
}
