package dev.smelt.agent.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.smelt.agent.config.PolicySettings.Mode;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConfigFileTest {

  private static final String SMALLEST =
      """
      models:
        - name: m
          checkpoint: checkpoints/m
          engine: {urls: ["http://127.0.0.1:8001"], dialect: sglang}
      """;

  @TempDir Path folder;

  @Test
  void shouldPinEveryDefault() {
    SmeltConfig config = ConfigFile.parse(SMALLEST);
    ModelSettings model = config.models().get(0);

    assertThat(config.data()).isEqualTo(Path.of("data"));
    assertThat(config.kafka().embedded()).isTrue();
    assertThat(config.kafka().replication()).isEqualTo(1);
    assertThat(config.streams().applicationId()).isEqualTo("smelt");
    assertThat(config.streams().window()).isEqualTo(Duration.ofSeconds(10));
    assertThat(config.streams().grace()).isEqualTo(Duration.ofSeconds(5));
    assertThat(config.streams().halfLife()).isEqualTo(Duration.ofMinutes(5));
    assertThat(config.streams().drift().settings())
        .isEqualTo(dev.smelt.streams.drift.DriftSettings.DEFAULT);
    assertThat(config.api().host()).isEqualTo("127.0.0.1");
    assertThat(config.api().port()).isEqualTo(7070);
    assertThat(config.api().tokens()).isEmpty();
    assertThat(config.management().host()).isEqualTo("127.0.0.1");
    assertThat(config.management().port()).isEqualTo(7071);
    assertThat(model.proxy().host()).isEqualTo("127.0.0.1");
    assertThat(model.proxy().port()).isEqualTo(8000);
    assertThat(model.proxy().share()).isEqualTo(0.1);
    assertThat(model.engine().format()).isEqualTo(EngineSettings.ExportFormat.EXPANDED);
    assertThat(model.engine().timeout()).isEqualTo(Duration.ofMinutes(2));
    assertThat(model.engine().swap()).isEqualTo(EngineSettings.Swap.PUSH);
    assertThat(model.engine().blueGreen()).isNull();
    assertThat(model.engine().apiKeyFile()).isNull();
    assertThat(config.api().tls()).isNull();
    assertThat(config.api().plainText()).isEqualTo(ApiSettings.PlainText.REFUSED);
    assertThat(model.compression().strategy()).isEqualTo("m-smoe");
    assertThat(model.compression().alternatives()).isEmpty();
    assertThat(model.compression().averageGroups()).isNull();
    assertThat(model.compression().memory()).isEmpty();
    assertThat(model.compression().minimumMoments()).isEqualTo(4_000);
    assertThat(model.compression().similarity()).isEqualTo("co-activation");
    assertThat(model.compression().align()).isEqualTo("dominant");
    assertThat(model.compression().reuseWithin()).isEqualTo(0.02);
    assertThat(model.policy().mode()).isEqualTo(Mode.OBSERVE);
    assertThat(model.policy().consecutiveWindows()).isEqualTo(3);
    assertThat(model.policy().coolDown()).isEqualTo(Duration.ofMinutes(10));
    assertThat(model.policy().minimumTokens()).isEqualTo(20_000);
    assertThat(model.policy().maximumPerDay()).isEqualTo(24);
    assertThat(model.policy().rememberedSnapshots()).isEqualTo(16);
    assertThat(model.policy().schedule().set()).isFalse();
    assertThat(model.policy().schedule().zone()).isEqualTo("UTC");
    assertThat(model.gate().texts()).isEmpty();
    assertThat(model.gate().bytesPerText()).isEqualTo(16_384);
    assertThat(model.gate().maximumLoss()).isEqualTo(0.5);
    assertThat(model.gate().minimumGain()).isEqualTo(0.0);
    assertThat(model.gate().recallGain()).isEqualTo(0.01);
    assertThat(model.canary().window()).isEqualTo(Duration.ofMinutes(2));
    assertThat(model.canary().minimumRequests()).isEqualTo(20);
    assertThat(model.canary().errorRate()).isEqualTo(0.01);
    assertThat(model.canary().latency()).isEqualTo(1.5);
    assertThat(model.canary().signal()).isEqualTo(0.05);
    assertThat(model.canary().logProbability()).isEqualTo(0.1);
  }

  @Test
  void shouldPinTheDefaultsOfAReplacedEngine() {
    EngineSettings engine =
        ConfigFile.parse(
                SMALLEST.replace(
                    "dialect: sglang",
                    "dialect: sglang, swap: replace,"
                        + " blueGreen: {other: \"http://127.0.0.1:8002\", start: [run]}"))
            .models()
            .get(0)
            .engine();
    assertThat(engine.blueGreen())
        .isEqualTo(
            new EngineSettings.BlueGreen(
                URI.create("http://127.0.0.1:8002"),
                java.util.List.of("run"),
                java.util.List.of(),
                "/health",
                Duration.ofMinutes(10),
                Duration.ofMinutes(5),
                Duration.ofMinutes(1)));
  }

  @Test
  void shouldRefuseToReplaceAnEngineWithoutASecondPlace() {
    assertThatThrownBy(() -> ConfigFile.parse(SMALLEST.replace("sglang", "sglang, swap: replace")))
        .hasMessageStartingWith("models[0].engine.blueGreen: name the second place");
  }

  @Test
  void shouldRefuseTheSamePlaceTwice() {
    assertThatThrownBy(
            () ->
                ConfigFile.parse(
                    SMALLEST.replace(
                        "sglang",
                        "sglang, swap: replace,"
                            + " blueGreen: {other: \"http://127.0.0.1:8001\", start: [run]}")))
        .hasMessageContaining("another than blueGreen.other");
  }

  @Test
  void shouldRefuseToSendTokensToOtherMachinesInPlainTextUnlessToldSo() {
    String exposed =
        SMALLEST
            + "api: {host: 0.0.0.0, tokens: [{name: a, role: viewer, secret: 0123456789abcdef}]";
    assertThatThrownBy(() -> ConfigFile.parse(exposed + "}\n"))
        .hasMessageStartingWith("api.tls: tokens would travel to '0.0.0.0' in plain text");
    assertThat(ConfigFile.parse(exposed + ", plainText: allowed}\n").api().plainText())
        .isEqualTo(ApiSettings.PlainText.ALLOWED);
    assertThat(ConfigFile.parse(exposed + ", tls: {certificate: c.pem, key: k.pem}}\n").api().tls())
        .isEqualTo(new ApiSettings.Tls(Path.of("c.pem"), Path.of("k.pem")));
  }

  @Test
  void shouldTakeRelativePathsFromTheFoldersOfTheFile() throws Exception {
    Path file = Files.writeString(folder.resolve("smelt.yaml"), SMALLEST);

    SmeltConfig config = ConfigFile.read(file);

    assertThat(config.data()).isEqualTo(folder.resolve("data"));
    assertThat(config.models().get(0).checkpoint()).isEqualTo(folder.resolve("checkpoints/m"));
    assertThat(config.models().get(0).engine().urls())
        .containsExactly(URI.create("http://127.0.0.1:8001"));
  }

  @Test
  void shouldNameTheSettingThatCannotWork() {
    assertThatThrownBy(() -> ConfigFile.parse(SMALLEST + "    policy: {consecutiveWindows: 0}\n"))
        .hasMessage("models[0].policy.consecutiveWindows: use 1 to 1000");
  }

  @Test
  void shouldSayInPlainWordsWhatAMistypedValueMayBe() {
    assertThatThrownBy(() -> ConfigFile.parse(SMALLEST + "    policy: {mode: autp}\n"))
        .hasMessage("models[0].policy.mode: 'autp' is none of observe, approve, auto");
    assertThatThrownBy(() -> ConfigFile.parse(SMALLEST + "    proxy: {share: half}\n"))
        .hasMessage("models[0].proxy.share: 'half' is no number");
    assertThatThrownBy(() -> ConfigFile.parse(SMALLEST + "    proxy: {port: eight}\n"))
        .hasMessage("models[0].proxy.port: 'eight' is no whole number");
  }

  @Test
  void shouldNameAScheduleThatIsNone() {
    String schedule = "    policy: {schedule: {cron: '%s', zone: '%s'}}\n";

    assertThatThrownBy(() -> ConfigFile.parse(SMALLEST + schedule.formatted("61 3 * * *", "UTC")))
        .hasMessageStartingWith("models[0].policy.schedule.cron: '61 3 * * *' is no cron");
    assertThatThrownBy(() -> ConfigFile.parse(SMALLEST + schedule.formatted("0 3 * * *", "Mars")))
        .hasMessage(
            "models[0].policy.schedule.zone: 'Mars' is no time zone; use UTC or Europe/Berlin");
  }

  @Test
  void shouldListTheKnownSettingsForAnUnknownOne() {
    assertThatThrownBy(() -> ConfigFile.parse(SMALLEST + "kafak: {}\n"))
        .hasMessageStartingWith("kafak: no such setting; the known ones are [api, data, kafka,");
  }

  @Test
  void shouldRefuseADurationWithoutUnit() {
    assertThatThrownBy(() -> ConfigFile.parse(SMALLEST + "streams: {window: 10}\n"))
        .hasMessage("streams.window: '10' is no duration; write 250ms, 10s, 5m, 2h or 1d");
  }

  @Test
  void shouldRefuseAnOpenAddressWithoutToken() {
    assertThatThrownBy(() -> ConfigFile.parse(SMALLEST + "api: {host: 0.0.0.0}\n"))
        .hasMessage(
            "api.host: '0.0.0.0' is open to other machines; configure a token or use 127.0.0.1");
  }

  @Test
  void shouldRefuseAnEmptyFile() {
    assertThatThrownBy(() -> ConfigFile.parse("")).hasMessageContaining("name at least one model");
  }

  @Test
  void shouldRefuseTwoModelsOfOneName() {
    assertThatThrownBy(
            () ->
                ConfigFile.parse(
                    SMALLEST
                        + """
                          - name: m
                            checkpoint: other
                            engine: {urls: ["http://127.0.0.1:8002"], dialect: vllm}
                        """))
        .hasMessage("models: two models are called 'm'");
  }

  @Test
  void shouldRefuseTwoModelsOnOnePort() {
    assertThatThrownBy(
            () ->
                ConfigFile.parse(
                    SMALLEST
                        + """
                          - name: other
                            checkpoint: other
                            engine: {urls: ["http://127.0.0.1:8002"], dialect: vllm}
                        """))
        .hasMessage(
            "models: two models have proxy.port 8000; clients tell models by port, give each its"
                + " own");
  }
}
