package dev.smelt.ops;

import dev.smelt.agent.api.SmeltMeter;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

class MetricsPageTest {

  @Test
  void shouldListEveryMeter() throws IOException {
    GeneratedPage.check(Path.of("metrics.md"), page());
  }

  private static String page() {
    StringBuilder page =
        new StringBuilder(
            """
            # Metrics

            What the agent publishes at `/metrics` of its management port (7071), in Prometheus' text form, beside
            Micrometer's figures of the JVM and the process (`jvm_*`, `process_*`, `system_*`). This page is generated
            from `SmeltMeter`; the alert rules under `ops/prometheus` and the dashboards under `ops/grafana` use nothing else.

            | names | form | labels | what |
            |---|---|---|---|
            """);
    for (SmeltMeter meter : SmeltMeter.values()) {
      page.append("| ")
          .append(code(meter.exposed()))
          .append(" | ")
          .append(meter.form().name().toLowerCase(Locale.ROOT))
          .append(" | ")
          .append(code(meter.tags()))
          .append(" | ")
          .append(meter.description())
          .append(" |\n");
    }
    return page.toString();
  }

  private static String code(java.util.List<String> names) {
    return names.stream().map(name -> "`" + name + "`").collect(Collectors.joining(" "));
  }
}
