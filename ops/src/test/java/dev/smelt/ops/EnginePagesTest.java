package dev.smelt.ops;

import static org.assertj.core.api.Assertions.assertThat;

import dev.smelt.agent.config.ConfigFile;
import dev.smelt.agent.config.SmeltConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Holds what pages show to what the agent takes. */
class EnginePagesTest {

  private static final Pattern YAML = Pattern.compile("```yaml\n(.*?)```", Pattern.DOTALL);

  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(
      strings = {
        "engines/vllm.md",
        "engines/sglang.md",
        "engines/transformers.md",
        "docs/kafka.md",
        "docs/approve.md"
      })
  void shouldShowAConfigurationThatTheAgentTakes(String page) throws IOException {
    Matcher yaml = YAML.matcher(Files.readString(Path.of(page)));
    assertThat(yaml.find()).isTrue();
    Path file = Files.writeString(folder.resolve("smelt.yaml"), yaml.group(1));

    SmeltConfig config = ConfigFile.read(file);

    assertThat(config.models()).hasSize(1);
  }
}
