package dev.smelt.agent.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.datatype.jdk8.Jdk8Module;
import dev.smelt.agent.doctor.EngineDoctor;
import dev.smelt.agent.doctor.Finding;
import dev.smelt.agent.doctor.Finding.Verdict;
import dev.smelt.store.checkpoint.Checkpoint;
import java.io.PrintWriter;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code smelt doctor}: whether an engine can be looked after, and what to change. */
@Command(
    name = "doctor",
    description =
        "Says which engine answers, whether routed experts come back, whether its weights can be"
            + " updated, whether it serves the checkpoint, and what to change. Changes nothing."
            + " Exit code 1 where something does not work.",
    footer = {
      "  smelt doctor --engine http://127.0.0.1:30000",
      "  smelt doctor --engine http://127.0.0.1:30000 --checkpoint /models/my-model --json"
    })
final class DoctorCommand implements Callable<Integer> {

  @Option(
      names = "--engine",
      required = true,
      paramLabel = "URL",
      description = "Base address of the engine, not of the agent's proxy.")
  private URI engine;

  @Option(
      names = "--checkpoint",
      paramLabel = "DIR",
      description = "The full model that the engine is meant to serve.")
  private @Nullable Path checkpoint;

  @Option(
      names = "--api-key",
      paramLabel = "KEY",
      defaultValue = "${env:SMELT_ENGINE_KEY}",
      description = "The engine's bearer token; default: the environment's SMELT_ENGINE_KEY.")
  private @Nullable String apiKey;

  @Option(
      names = "--timeout",
      paramLabel = "SECONDS",
      defaultValue = "60",
      description = "How long one call may take; default: ${DEFAULT-VALUE}.")
  private int timeout;

  @Mixin private ResultOutput result = new ResultOutput();

  @Override
  public Integer call() throws InterruptedException {
    String scheme = engine.getScheme() == null ? "" : engine.getScheme();
    if (!scheme.matches("(?i)https?") || engine.getHost() == null) {
      throw new IllegalArgumentException("'" + engine + "' is no address; write http://host:port");
    }
    List<Finding> findings;
    if (checkpoint == null) {
      findings = examine(Optional.empty());
    } else {
      try (Checkpoint opened = Checkpoint.open(checkpoint)) {
        findings = examine(Optional.of(opened));
      }
    }
    result.print(() -> json(findings), out -> print(out, findings));
    boolean bad = findings.stream().anyMatch(finding -> finding.verdict() == Verdict.BAD);
    return bad ? ExitCode.SOFTWARE : ExitCode.OK;
  }

  private List<Finding> examine(Optional<Checkpoint> opened) throws InterruptedException {
    return EngineDoctor.examine(
        engine,
        Optional.ofNullable(apiKey).filter(key -> !key.isBlank()),
        Duration.ofSeconds(timeout),
        opened);
  }

  private JsonNode json(List<Finding> findings) {
    return new ObjectMapper()
        .registerModule(new Jdk8Module())
        .valueToTree(Map.of("engine", engine, "findings", findings));
  }

  private static void print(PrintWriter out, List<Finding> findings) {
    for (Finding finding : findings) {
      out.printf(
          "%-6s  %s: %s%n",
          finding.verdict().name().toLowerCase(Locale.ROOT),
          finding.about().words(),
          finding.says());
      finding.remedy().ifPresent(remedy -> out.printf("        -> %s%n", remedy));
    }
  }
}
