package dev.smelt.tests;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Each thing that can be wrong at the start: one line that names it, exit code 1, nothing left. */
class BadInputIT {

  @TempDir Path folder;

  @Test
  void shouldNameAMissingCheckpoint() {
    CommandLineRun demo = demo(folder.resolve("nowhere"));

    assertFailed(demo, "nowhere: no such file or folder");
  }

  @Test
  void shouldNameADamagedCheckpointAndTensor() throws IOException {
    Path damaged = Files.createDirectory(folder.resolve("damaged"));
    Files.copy(fixture("config.json"), damaged.resolve("config.json"));
    byte[] weights = Files.readAllBytes(fixture("model.safetensors"));
    Files.write(damaged.resolve("model.safetensors"), Arrays.copyOf(weights, 1_000_000));

    CommandLineRun demo = demo(damaged);

    assertFailed(demo, "model.safetensors", "experts.", "is it truncated?");
  }

  @Test
  void shouldListTheKnownArchitecturesForAnUnknownOne() throws IOException {
    Path unknown = Files.createDirectory(folder.resolve("unknown"));
    Files.writeString(
        unknown.resolve("config.json"),
        Files.readString(fixture("config.json")).replace("\"mixtral\"", "\"walnut\""));
    Files.copy(fixture("model.safetensors"), unknown.resolve("model.safetensors"));

    CommandLineRun demo = demo(unknown);

    assertFailed(demo, "unknown architecture", "walnut", "mixtral");
  }

  @Test
  void shouldNameTooFewDomains() throws IOException {
    Path traffic = Files.createDirectory(folder.resolve("traffic"));
    Files.writeString(traffic.resolve("only.txt"), "x".repeat(40_000));

    CommandLineRun demo =
        CommandLineRun.of(
            "demo",
            "--once",
            "--checkpoint",
            fixture("").toString(),
            "--traffic",
            traffic.toString());

    assertFailed(demo, traffic.toString(), "at least four .txt files");
  }

  @Test
  void shouldNameABusyPort() throws IOException {
    try (ServerSocket engine = listen();
        ServerSocket busy = listen()) {
      CommandLineRun up = up("", engine.getLocalPort(), "{port: " + busy.getLocalPort() + "}");

      assertFailed(up, String.valueOf(busy.getLocalPort()), "api.port");
    }
  }

  @Test
  void shouldNameAnUnreachableKafka() throws IOException {
    try (ServerSocket engine = listen()) {
      CommandLineRun up =
          up("kafka: {bootstrapServers: \"127.0.0.1:1\"}", engine.getLocalPort(), "{port: 0}");

      assertFailed(up, "127.0.0.1:1", "kafka.bootstrapServers");
    }
  }

  @Test
  void shouldNameAnUnreachableEngine() throws IOException {
    CommandLineRun up = up("", 1, "{port: 0}");

    assertFailed(up, "http://127.0.0.1:1: no engine answers there", "engine.urls");
    assertThat(folder.resolve("data")).doesNotExist();
  }

  private CommandLineRun demo(Path checkpoint) {
    Path report = folder.resolve("report.json");
    CommandLineRun run =
        CommandLineRun.of(
            "demo",
            "--once",
            "--checkpoint",
            checkpoint.toString(),
            "--traffic",
            fixture("heldout").toString(),
            "--report",
            report.toString());
    assertThat(report).doesNotExist();
    return run;
  }

  private CommandLineRun up(String kafka, int enginePort, String api) throws IOException {
    Path config =
        Files.writeString(
            folder.resolve("smelt.yaml"),
            """
            data: data
            %s
            api: %s
            management: {port: 0}
            models:
              - name: byte-moe
                checkpoint: "%s"
                engine: {urls: ["http://127.0.0.1:%d"], dialect: sglang}
                proxy: {port: 0}
            """
                .formatted(kafka, api, fixture(""), enginePort));
    return CommandLineRun.of("up", "-c", config.toString());
  }

  private static void assertFailed(CommandLineRun run, String... words) {
    List<String> said = run.err().lines().filter(line -> line.startsWith("smelt: ")).toList();
    assertThat(run.exitCode()).isEqualTo(1);
    assertThat(said).hasSize(1);
    assertThat(said.get(0)).contains(words);
  }

  private static ServerSocket listen() throws IOException {
    return new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"));
  }

  private static Path fixture(String name) {
    return CommandLineRun.fixture().resolve(name);
  }
}
