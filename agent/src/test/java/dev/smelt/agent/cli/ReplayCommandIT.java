package dev.smelt.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.smelt.agent.api.AgentApi;
import dev.smelt.agent.api.HealthChecks;
import dev.smelt.agent.api.LiveEvents;
import dev.smelt.agent.api.Metrics;
import dev.smelt.agent.config.ApiSettings;
import dev.smelt.agent.tap.Combiner;
import dev.smelt.agent.tap.CombinerSettings;
import dev.smelt.agent.tap.IngestTap;
import dev.smelt.agent.tap.TappedModel;
import dev.smelt.store.safetensors.SafetensorsWriter;
import dev.smelt.store.safetensors.Tensor;
import dev.smelt.streams.usage.Usage;
import dev.smelt.streams.usage.UsageRecord;
import io.vertx.core.Vertx;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.time.Clock;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

class ReplayCommandIT {

  private static final String BLOCK = "model.layers.0.mlp";
  private static final int[] IDS = {0, 1, 1, 2, 2, 3, 3, 0, 0, 1};

  @TempDir Path folder;

  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();
  private final Vertx vertx = Vertx.vertx();
  private final List<UsageRecord> records = new CopyOnWriteArrayList<>();
  private final Metrics metrics = new Metrics(new HealthChecks(), Clock.systemUTC());
  private Combiner combiner;
  private IngestTap tap;
  private AgentApi api;
  private String agent;

  @BeforeEach
  void start() {
    TappedModel model = new TappedModel("tiny", 1, List.of(new TappedModel.Block(BLOCK, 0, 4, 2)));
    combiner =
        new Combiner(model, CombinerSettings.defaults(), "engine", Clock.systemUTC(), records::add);
    tap = new IngestTap(vertx, metrics.registry());
    tap.take(model, combiner, () -> "");
    api =
        new AgentApi(
            vertx,
            new ApiSettings("127.0.0.1", 0, List.of()),
            List.of(),
            new LiveEvents(metrics, Clock.systemUTC()),
            new HealthChecks(),
            metrics,
            List.of(tap::mount));
    agent = "http://127.0.0.1:" + api.start().await();
  }

  @AfterEach
  void stop() {
    api.close().await();
    tap.close();
    metrics.close();
    vertx.close().await();
  }

  @Test
  void shouldPostATraceInParts() throws Exception {
    Path trace = trace(Map.of("model", "tiny", "requests", "3"));

    int exit = run("replay", trace, "--to", agent, "--part", "2", "--json");

    assertThat(err.toString()).contains("replaying: 100 %");
    assertThat(exit).isZero();
    JsonNode printed = new ObjectMapper().readTree(out.toString());
    assertThat(printed.path("tokens").asLong()).isEqualTo(5);
    assertThat(printed.path("posts").asInt()).isEqualTo(3);
    combiner.flush();
    Usage usage = records.get(0).decisions().usage();
    assertThat(usage.counts()).containsExactly(3, 3, 2, 2);
    assertThat(usage.requests()).isEqualTo(3);
  }

  @Test
  void shouldSayWhyTheAgentRefuses() {
    int exit = run("replay", trace(Map.of("model", "other")), "--to", agent);

    assertThat(exit).isEqualTo(1);
    assertThat(err.toString())
        .contains("no model is called 'other'; this agent looks after [tiny]");
  }

  @Test
  void shouldAskForTheModelWhereTheTraceNamesNone() {
    int exit = run("replay", trace(Map.of()), "--to", agent);

    assertThat(exit).isEqualTo(1);
    assertThat(err.toString()).endsWith("names no model; name it with --model\n");
  }

  @Test
  void shouldSayThatNoAgentAnswers() {
    int exit = run("replay", trace(Map.of("model", "tiny")), "--to", "http://127.0.0.1:1");

    assertThat(exit).isEqualTo(1);
    assertThat(err.toString()).contains("http://127.0.0.1:1: no agent answers there");
  }

  @Test
  void shouldRefuseAFileThatIsNoTrace() {
    Path file = folder.resolve("weights.safetensors");
    SafetensorsWriter.write(
        file, Map.of(), List.of(Tensor.ints("weight", List.of(1L, 1L), new int[1])));

    assertThat(run("replay", file, "--to", agent)).isEqualTo(1);
    assertThat(err.toString()).contains("has no tensor *.selected_experts; is it a routing trace?");
  }

  private Path trace(Map<String, String> metadata) {
    Path file = folder.resolve("a.routing.safetensors");
    SafetensorsWriter.write(
        file, metadata, List.of(Tensor.ints(BLOCK + ".selected_experts", List.of(5L, 2L), IDS)));
    return file;
  }

  private int run(Object... arguments) {
    CommandLine commandLine = SmeltCommand.commandLine();
    commandLine.setOut(new PrintWriter(out));
    commandLine.setErr(new PrintWriter(err));
    String[] texts = new String[arguments.length];
    for (int i = 0; i < arguments.length; i++) {
      texts[i] = arguments[i].toString();
    }
    return commandLine.execute(texts);
  }
}
