package dev.smelt.packaging;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The container image, unpacked layer by layer and run without a container engine. */
class ImageIT {

  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir private static Path folder;

  private static JsonNode config;
  private static Path root;

  @BeforeAll
  static void unpack() throws Exception {
    Path image = Path.of(System.getProperty("smelt.image"));
    assumeTrue(Files.exists(image), "no image at " + image + "; it is built on Linux");
    Ran.successfully("tar", "-xf", image.toString(), "-C", folder.toString());
    JsonNode manifest = JSON.readTree(folder.resolve("manifest.json").toFile()).path(0);
    config = JSON.readTree(folder.resolve(manifest.path("Config").asText()).toFile());
    root = Files.createDirectory(folder.resolve("root"));
    for (JsonNode layer : manifest.path("Layers")) {
      Ran.successfully(
          "tar", "-xzpf", folder.resolve(layer.asText()).toString(), "-C", root.toString());
    }
  }

  @Test
  void shouldRunTheAgentAsAUserWithoutRights() {
    JsonNode container = config.path("config");
    assertThat(container.path("User").asText()).isEqualTo("10001:10001");
    assertThat(container.path("Cmd")).map(JsonNode::asText).startsWith("up");
    assertThat(container.path("ExposedPorts").properties())
        .extracting(Map.Entry::getKey)
        .containsExactlyInAnyOrder("7070/tcp", "7071/tcp", "8000/tcp");
    assertThat(container.path("Volumes").has("/var/lib/smelt")).isTrue();
  }

  @Test
  void shouldHoldNoShell() {
    assertThat(root.resolve("opt/java/bin/java")).isExecutable();
    assertThat(List.of("bin/sh", "bin/bash", "usr/bin/sh", "usr/bin/apt"))
        .noneMatch(program -> Files.exists(root.resolve(program)));
  }

  @Test
  void shouldEvaluateAModelFromNothingButItsOwnFiles() throws Exception {
    String said =
        inside(
            "evaluate",
            "--checkpoint",
            "/opt/smelt/tests/fixtures/byte-moe",
            "--text",
            "/opt/smelt/LICENSE");

    assertThat(said).contains("bits per byte");
  }

  @Test
  void shouldMergeWithTheVectorInstructionsOfTheProcessor() {
    assertThat(config.at("/config/Entrypoint"))
        .map(JsonNode::asText)
        .containsSequence("--add-modules", "jdk.incubator.vector");
  }

  @Test
  void shouldCheckAConfiguration() throws Exception {
    Files.writeString(
        root.resolve("etc/smelt/smelt.yaml"),
        """
        data: /var/lib/smelt
        models:
          - name: byte-moe
            checkpoint: /opt/smelt/tests/fixtures/byte-moe
            engine: {urls: ["http://engine:30000"], dialect: sglang}
        """);

    assertThat(inside("up", "--check", "-c", "/etc/smelt/smelt.yaml")).contains("can be used");
  }

  @Test
  void shouldKeepWhatItWritesWhereItsUserMayWrite() throws IOException {
    for (String folder : List.of("var/lib/smelt", "tmp")) {
      assertThat(Files.getPosixFilePermissions(root.resolve(folder)))
          .as(folder)
          .contains(PosixFilePermission.OTHERS_WRITE, PosixFilePermission.OTHERS_EXECUTE);
    }
  }

  @Test
  void shouldTakeTheConfigurationOfCompose() throws Exception {
    JsonNode compose = compose();
    assertThat(compose.at("/services/agent/entrypoint").isMissingNode()).isTrue();
    assertThat(compose.at("/services/agent/command").isMissingNode()).isTrue();
    assertThat(compose.at("/services/agent/configs/0/target").asText())
        .isEqualTo("/etc/smelt/smelt.yaml");
    Files.writeString(
        root.resolve("etc/smelt/smelt.yaml"),
        compose
            .at("/configs/agent/content")
            .asText()
            .replaceAll("\\$\\{SMELT_TOKEN:\\?[^}]*}", "0123456789abcdef")
            // A name that only compose resolves.
            .replace("kafka:9092", "127.0.0.1:9092"));

    assertThat(inside("up", "--check", "-c", "/etc/smelt/smelt.yaml")).contains("can be used");
  }

  @Test
  void shouldPublishInComposeOnlyPortsThatItExposes() throws IOException {
    List<String> published = new ArrayList<>();
    compose()
        .at("/services/agent/ports")
        .forEach(port -> published.add(port.asText().replaceAll(".*:", "") + "/tcp"));

    assertThat(published).isNotEmpty();
    assertThat(config.at("/config/ExposedPorts").properties())
        .extracting(Map.Entry::getKey)
        .containsAll(published);
  }

  @Test
  void shouldHoldTheEngineThatComposeStarts() throws Exception {
    JsonNode engine = compose().at("/services/engine");
    List<String> command = new ArrayList<>();
    engine.path("entrypoint").forEach(part -> command.add(part.asText()));
    engine.path("command").forEach(part -> command.add(part.asText()));
    command.add("--help");

    assertThat(inside(command)).contains("Usage: reference-engine");
  }

  private static JsonNode compose() throws IOException {
    return new YAMLMapper().readTree(Path.of("../compose/compose.yaml").toFile());
  }

  /** Runs the image's entry point with other arguments. */
  private static String inside(String... arguments) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    config.path("config").path("Entrypoint").forEach(part -> command.add(part.asText()));
    command.addAll(List.of(arguments));
    return inside(command);
  }

  /** Runs a command as the image's user, in its root file system. */
  private static String inside(List<String> program) throws IOException, InterruptedException {
    List<String> unshare = new ArrayList<>(List.of("unshare", "--mount", "--pid", "--fork"));
    if (!System.getProperty("user.name").equals("root")) {
      unshare.add("--map-root-user");
    }
    List<String> probe = new ArrayList<>(unshare);
    probe.addAll(List.of("mount", "-t", "proc", "proc", root.resolve("proc").toString()));
    Ran possible = Ran.of(probe, Map.of());
    assumeTrue(possible.exitCode() == 0, "no name spaces can be made here: " + possible.said());
    List<String> command = new ArrayList<>(unshare);
    command.addAll(
        List.of(
            "bash",
            "-c",
            "mount -t proc proc \"$0/proc\" && exec chroot --userspec=\"$1\" \"$0\" \"${@:2}\"",
            root.toString(),
            config.path("config").path("User").asText()));
    command.addAll(program);
    return Ran.successfully(command.toArray(String[]::new));
  }
}
