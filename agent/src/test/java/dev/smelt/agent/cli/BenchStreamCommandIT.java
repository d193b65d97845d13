package dev.smelt.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

/** The command as it is typed, on its own broker, with few records. */
class BenchStreamCommandIT {

  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  @Test
  void shouldMeasureOneShapeInOneMode() throws IOException {
    int exitCode = run("--model", "mixtral", "--mode", "combined", "--megabytes", "1", "--json");

    assertThat(exitCode).isZero();
    JsonNode lines = new ObjectMapper().readTree(out.toString());
    assertThat(lines).hasSize(1);
    JsonNode line = lines.get(0);
    assertThat(line.get("records").asLong()).isPositive();
    assertThat(line.get("decisions").asLong()).isEqualTo(line.get("records").asLong() * 4096 * 2);
    assertThat(line.get("consumerSeconds").asDouble()).isPositive();
    assertThat(line.get("idleTopologySeconds").asDouble()).isPositive();
    assertThat(line.get("topologySeconds").asDouble()).isPositive();
    assertThat(line.get("changelogBytes").asLong()).isPositive();
    assertThat(err.toString()).contains("measuring: 100 %");
  }

  @Test
  void shouldCountEveryRecordOfAFleetOnce() throws IOException {
    int exitCode =
        run(
            "--scale",
            "--model",
            "mixtral",
            "--replicas",
            "5",
            "--tokens-per-second",
            "100",
            "--interval",
            "1",
            "--intervals",
            "2",
            "--json");

    assertThat(exitCode).isZero();
    JsonNode result = new ObjectMapper().readTree(out.toString());
    assertThat(result.get("records").asLong()).isEqualTo(5 * 32 * 2);
    assertThat(result.get("recordsPerSecond").asDouble()).isEqualTo(5 * 32);
    assertThat(result.get("countedRecords").asLong()).isEqualTo(5 * 32 * 2);
    assertThat(result.get("countedDecisions").asLong()).isEqualTo(5 * 32 * 2 * 100 * 2);
    assertThat(result.get("timesFleetRate").asDouble()).isPositive();
    assertThat(result.get("processors").asDouble()).isPositive();
    assertThat(result.get("instances").asLong()).isEqualTo(1);
  }

  @Test
  void shouldNameTheShapesWhenOneIsUnknown() {
    assertThat(run("--model", "gpt")).isEqualTo(CommandLine.ExitCode.USAGE);
    assertThat(err.toString()).contains("gpt", "mixtral, qwen3-30b, deepseek-v3");
  }

  private int run(String... options) {
    CommandLine commandLine = SmeltCommand.commandLine();
    commandLine.setOut(new PrintWriter(out, true));
    commandLine.setErr(new PrintWriter(err, true));
    String[] arguments = new String[options.length + 2];
    arguments[0] = "bench";
    arguments[1] = "stream";
    System.arraycopy(options, 0, arguments, 2, options.length);
    return commandLine.execute(arguments);
  }
}
