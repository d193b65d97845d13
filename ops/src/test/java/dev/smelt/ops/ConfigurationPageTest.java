package dev.smelt.ops;

import static org.assertj.core.api.Assertions.assertThat;

import dev.smelt.agent.config.ConfigFile;
import dev.smelt.agent.config.SmeltConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConfigurationPageTest {

  private static final Path PAGE = Path.of("configuration.md");
  private static final Path SAMPLE = Path.of("smelt.yaml");

  @TempDir private Path folder;

  @Test
  void shouldListEverySettingWithItsDefault() throws Exception {
    List<Setting> settings = settings();
    assertThat(settings).allSatisfy(setting -> assertThat(setting.what()).isNotBlank());
    GeneratedPage.check(PAGE, page(settings));
  }

  @Test
  void shouldHaveASampleThatTheAgentTakes() throws Exception {
    GeneratedPage.check(SAMPLE, sample(settings()));
    SmeltConfig config = ConfigFile.read(SAMPLE);
    assertThat(config.models()).hasSize(1);
  }

  @Test
  void shouldTakeTheSampleWithEveryDefaultWrittenOut() throws Exception {
    Path everything = folder.resolve("smelt.yaml");
    Files.writeString(everything, sample(settings()).replaceAll("(?m)^( *)#= ?", "$1"));
    assertThat(ConfigFile.read(everything).api()).isEqualTo(minimal().api());
    assertThat(ConfigFile.read(everything).models().get(0).policy())
        .isEqualTo(minimal().models().get(0).policy());
  }

  /** Every setting, with the default that an almost empty file gets. */
  private List<Setting> settings() throws Exception {
    return Settings.of(minimal());
  }

  private SmeltConfig minimal() throws IOException {
    Path file = folder.resolve("minimal.yaml");
    Files.writeString(
        file,
        """
        models:
          - name: my-model
            checkpoint: /models/my-model
            engine:
              urls: ["http://127.0.0.1:30000"]
              dialect: sglang
        """);
    return ConfigFile.read(file);
  }

  private static String page(List<Setting> settings) {
    StringBuilder page =
        new StringBuilder(
            """
            # Configuration

            One YAML file, read by `smelt up -c smelt.yaml`; relative paths are taken from its folder. Durations are written
            `250ms`, `10s`, `5m`, `2h` or `1d`. A setting that cannot work is refused with its path and the remedy. `ops/smelt.yaml`
            is a sample with every setting. This page is generated from the records of `dev.smelt.agent.config`.

            | setting | kind | default | what |
            |---|---|---|---|
            """);
    for (Setting setting : settings) {
      page.append("| `")
          .append(setting.path())
          .append("` | ")
          .append(setting.kind())
          .append(" | ")
          .append(setting.fallback().isEmpty() ? "" : "`" + setting.fallback() + "`")
          .append(" | ")
          .append(setting.what().replace("|", "\\|"))
          .append(" |\n");
    }
    return page.toString();
  }

  /** The settings as YAML: required ones with a value of the sample's, the others commented out. */
  private static String sample(List<Setting> settings) {
    StringBuilder yaml =
        new StringBuilder(
            """
            # A sample with every setting; generated, see configuration.md. Lines that begin with '#=' show the default.
            """);
    for (Setting setting : settings) {
      yaml.append(setting.yaml());
    }
    return yaml.toString();
  }
}
