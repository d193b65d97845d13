package dev.smelt.tests;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The demo's promises, on the trained fixture, with a real broker and the engine as a process. */
class DemoIT {

  @TempDir Path folder;

  @Test
  @Timeout(value = 15, unit = TimeUnit.MINUTES)
  void shouldFollowTheTrafficWithoutAFailedRequestAndRollBackBitForBit() throws Exception {
    // When
    Path file = folder.resolve("r.json");
    CommandLineRun demo = CommandLineRun.of("demo", "--once", "--report", file.toString());

    // Then
    assertThat(demo.exitCode()).as(demo.err()).isZero();
    JsonNode report = new ObjectMapper().readTree(file.toFile());
    assertThat(report.path("requests").path("served").asInt()).isPositive();
    assertThat(report.path("requests").path("failed").asInt()).isZero();
    assertThat(report.path("remerges").asInt()).isGreaterThanOrEqualTo(2);
    assertThat(report.path("secondsToAdapt").isNumber()).isTrue();
    assertThat(report.path("rollback").path("digestsIdentical").asBoolean()).isTrue();
    assertThat(report.path("rollback").path("from").asText())
        .isNotEqualTo(report.path("rollback").path("to").asText());
    assertThat(report.path("expertBytes").path("adaptive").asLong())
        .isPositive()
        .isLessThan(report.path("expertBytes").path("full").asLong());

    JsonNode shifted = report.path("phases").path(1);
    JsonNode bits = shifted.path("bitsPerByte");
    assertThat(bits.path("adaptive").asDouble())
        .as("bits per byte after the shift: %s", bits)
        .isLessThan(bits.path("static").asDouble())
        .isGreaterThanOrEqualTo(bits.path("full").asDouble());
    assertThat(demo.out()).contains("rollback", "adaptive", "expert memory");
  }
}
