package dev.smelt.ops;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.smelt.agent.api.SmeltMeter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class MonitoringTest {

  private static final Pattern METRIC = Pattern.compile("\\bsmelt_[a-z_]+");
  private static final Path PROMTOOL = Path.of("/usr/bin/promtool");

  static Stream<Path> monitoring() throws IOException {
    try (Stream<Path> rules = Files.list(Path.of("prometheus"));
        Stream<Path> dashboards = Files.list(Path.of("grafana/dashboards"))) {
      return Stream.concat(rules.toList().stream(), dashboards.toList().stream());
    }
  }

  @ParameterizedTest
  @MethodSource("monitoring")
  void shouldNameOnlyMetricsThatAreInTheCatalogue(Path file) throws IOException {
    Set<String> named = new HashSet<>();
    Matcher matcher = METRIC.matcher(Files.readString(file));
    while (matcher.find()) {
      named.add(matcher.group());
    }
    assertThat(SmeltMeter.allExposed()).containsAll(named);
  }

  @ParameterizedTest
  @ValueSource(strings = {"smelt-adaptation", "smelt-data-path"})
  void shouldHaveDashboardsWhosePanelsAllAskSomething(String name) throws IOException {
    JsonNode dashboard =
        new ObjectMapper().readTree(Path.of("grafana/dashboards", name + ".json").toFile());
    assertThat(dashboard.path("uid").asText()).isEqualTo(name);
    for (JsonNode panel : dashboard.path("panels")) {
      if (!panel.path("type").asText().equals("row")) {
        assertThat(panel.path("targets")).as(panel.path("title").asText()).isNotEmpty();
        assertThat(panel.path("description").asText()).isNotBlank();
      }
    }
  }

  @Test
  void shouldHaveRulesThatPrometheusTakes() throws Exception {
    promtool("check", "rules", "smelt-alerts.yml");
  }

  @Test
  void shouldHaveRulesThatFireWhenTheyShould() throws Exception {
    promtool("test", "rules", "smelt-alerts.test.yml");
  }

  @Test
  void shouldHaveAScrapeConfigurationThatPrometheusTakes() throws Exception {
    promtool("check", "config", "prometheus.yml");
  }

  private static void promtool(String... arguments) throws Exception {
    assumeTrue(
        Files.isExecutable(PROMTOOL),
        "no promtool at " + PROMTOOL + "; install Debian's package prometheus to check the rules");
    Process process =
        new ProcessBuilder(
                Stream.concat(Stream.of(PROMTOOL.toString()), Stream.of(arguments)).toList())
            .directory(Path.of("prometheus").toFile())
            .redirectErrorStream(true)
            .start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(output).isZero();
  }
}
