package dev.smelt.ops;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.smelt.agent.api.AgentApi;
import dev.smelt.agent.api.HealthChecks;
import dev.smelt.agent.api.LiveEvents;
import dev.smelt.agent.api.Metrics;
import dev.smelt.agent.cli.SmeltCommand;
import dev.smelt.agent.config.ApiSettings;
import dev.smelt.agent.inference.Evaluation;
import dev.smelt.agent.inference.ForwardObserver;
import dev.smelt.agent.inference.MoeModel;
import dev.smelt.agent.inference.Routing;
import dev.smelt.agent.statistics.LiveMoments;
import dev.smelt.agent.tap.Combiner;
import dev.smelt.agent.tap.CombinerSettings;
import dev.smelt.agent.tap.IngestTap;
import dev.smelt.agent.tap.TappedModel;
import dev.smelt.store.checkpoint.Activation;
import dev.smelt.store.checkpoint.Architecture;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.SafetensorsFile;
import dev.smelt.store.safetensors.SafetensorsWriter;
import dev.smelt.store.safetensors.Tensor;
import dev.smelt.streams.usage.Usage;
import dev.smelt.streams.usage.UsageRecord;
import io.vertx.core.Vertx;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The engine-side hook, tested in its own language and against the agent's route. */
class HookIT {

  @TempDir Path folder;

  private static final String PYTHON = "/usr/bin/python3";
  private static final long LIMIT_SECONDS = 300;
  private static final String TESTS = "test_smelt_hook";

  @BeforeAll
  static void needTorch() throws Exception {
    assumeTrue(
        Files.isExecutable(Path.of(PYTHON)) && run(Map.of(), "-c", "import torch").status() == 0,
        "Debian's python3-torch is not installed");
  }

  @Test
  void shouldPassItsOwnTests() throws Exception {
    Finished tests = run(Map.of(), "-m", "unittest", TESTS);

    assertThat(tests.status()).as(tests.output()).isZero();
  }

  @Test
  void shouldBeUnderstoodByTheAgent() throws Exception {
    Vertx vertx = Vertx.vertx();
    List<UsageRecord> records = new CopyOnWriteArrayList<>();
    TappedModel model = new TappedModel("tiny", 2, List.of(block(0), block(1)));
    Combiner combiner =
        new Combiner(model, CombinerSettings.defaults(), "engine", Clock.systemUTC(), records::add);
    HealthChecks health = new HealthChecks();
    LiveMoments moments;
    try (Metrics metrics = new Metrics(health, Clock.systemUTC());
        IngestTap tap = new IngestTap(vertx, metrics.registry())) {
      tap.take(model, combiner, () -> "");
      moments =
          LiveMoments.open(
              folder,
              "tiny",
              List.of(moeBlock(0), moeBlock(1)),
              Duration.ofDays(1),
              Clock.systemUTC());
      tap.takeMoments("tiny", moments);
      AgentApi api =
          new AgentApi(
              vertx,
              new ApiSettings("127.0.0.1", 0, List.of()),
              List.of(),
              new LiveEvents(metrics, Clock.systemUTC()),
              health,
              metrics,
              List.of(tap::mount));
      String agent = "http://127.0.0.1:" + api.start().await();

      Finished test =
          run(
              Map.of("SMELT_TEST_AGENT", agent),
              "-m",
              "unittest",
              TESTS + ".HookTest.test_should_reach_a_real_agent");

      assertThat(test.status()).as(test.output()).isZero();
      api.close().await();
    } finally {
      vertx.close().await();
    }
    combiner.flush();
    assertThat(records).hasSize(2);
    Usage usage = records.get(0).decisions().usage();
    assertThat(usage.tokens()).isEqualTo(15);
    assertThat(usage.requests()).isEqualTo(3);
    assertThat(usage.gateMass()).isPresent();
    assertThat(usage.logitGram()).isPresent();
    assertThat(usage.outputNorm()).isPresent();
    assertThat(moments.tokens(LiveMoments.Span.ALL)).isCloseTo(15, within(0.1));
  }

  @Test
  void shouldRecordTheRefitThatSmeltTraceDoes() throws Exception {
    // Given
    Path checkpoint = Path.of("../tests/fixtures/byte-moe").toAbsolutePath();
    byte[] all = Files.readAllBytes(checkpoint.resolve("heldout/html.txt"));
    Path text = Files.write(folder.resolve("a.txt"), Arrays.copyOf(all, 2048));
    Path routing = folder.resolve("a.routing.safetensors");
    Path plan = folder.resolve("plan.json");
    Path merged = folder.resolve("merged");
    smelt("trace", checkpoint, "--text", text, "-o", routing);
    smelt("plan", checkpoint, "--routing", routing, "--average-groups", 8, "-o", plan);
    smelt("trace", checkpoint, "--text", text, "--plan", plan, "-o", routing);
    smelt("compress", checkpoint, "--plan", plan, "-o", merged);
    writeInputs(checkpoint, Files.readAllBytes(text), folder.resolve("inputs.safetensors"));

    // When
    Finished test =
        run(
            Map.of(
                "SMELT_TEST_REFIT", folder.toString(),
                "SMELT_TEST_CHECKPOINT", checkpoint.toString()),
            "-m",
            "unittest",
            TESTS + ".HookTest.test_should_refit_to_what_the_agent_would");

    // Then
    assertThat(test.status()).as(test.output()).isZero();
    try (SafetensorsFile traced = SafetensorsFile.open(folder.resolve("a.refit.safetensors"));
        Stream<Path> found = Files.list(folder.resolve("refit"))) {
      List<Path> files = found.toList();
      Map<String, float[]> hooked = new TreeMap<>();
      for (Path path : files) {
        try (SafetensorsFile file = SafetensorsFile.open(path)) {
          assertThat(file.metadata()).containsEntry("groups", traced.metadata().get("groups"));
          file.tensors().keySet().forEach(name -> hooked.put(name, values(file, name)));
        }
      }
      assertThat(hooked.keySet()).isEqualTo(traced.tensors().keySet());
      hooked.forEach(
          (name, sums) -> assertThat(distance(sums, values(traced, name))).isLessThan(1e-4));
      smelt(
          "compress",
          checkpoint,
          Stream.concat(
                  Stream.of("--plan", plan, "-o", folder.resolve("refitted"), "--refit-moments"),
                  files.stream())
              .toArray());
    }
  }

  private static void smelt(String command, Path checkpoint, Object... arguments) {
    List<String> words = new ArrayList<>(List.of(command, "--checkpoint", checkpoint.toString()));
    Arrays.stream(arguments).map(Object::toString).forEach(words::add);
    int status =
        SmeltCommand.commandLine()
            .setOut(new PrintWriter(Writer.nullWriter()))
            .execute(words.toArray(String[]::new));
    assertThat(status).isZero();
  }

  /** What each block is given where the original experts run. */
  private static void writeInputs(Path checkpoint, byte[] text, Path file) {
    MoeModel model = MoeModel.load(checkpoint);
    int hidden = model.blocks().get(0).hidden();
    List<List<Float>> inputs =
        model.blocks().stream().<List<Float>>map(block -> new ArrayList<>()).toList();
    Evaluation.score(
        model,
        text,
        new ForwardObserver() {
          @Override
          public void routed(Routing routing) {
            for (int i = 0; i < routing.tokens() * hidden; i++) {
              inputs.get(routing.layer()).add(routing.inputs()[i]);
            }
          }
        },
        done -> {});
    List<Tensor> tensors = new ArrayList<>();
    for (int layer = 0; layer < inputs.size(); layer++) {
      tensors.add(
          Tensor.floats(
              model.blocks().get(layer).name(),
              DType.F32,
              List.of((long) inputs.get(layer).size() / hidden, (long) hidden),
              floats(inputs.get(layer))));
    }
    SafetensorsWriter.write(file, Map.of(), tensors);
  }

  private static float[] floats(List<Float> values) {
    float[] floats = new float[values.size()];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = values.get(i);
    }
    return floats;
  }

  private static float[] values(SafetensorsFile file, String name) {
    if (file.tensor(name).dtype().floating()) {
      return file.floats(name);
    }
    return floats(Arrays.stream(file.longs(name)).mapToObj(value -> (float) value).toList());
  }

  /** Of two vectors, as a share of the second one's length. */
  private static double distance(float[] values, float[] expected) {
    assertThat(values).hasSameSizeAs(expected);
    double apart = 0;
    double length = 0;
    for (int i = 0; i < values.length; i++) {
      apart += Math.pow(values[i] - expected[i], 2);
      length += Math.pow(expected[i], 2);
    }
    return Math.sqrt(apart / length);
  }

  private static MoeBlock moeBlock(int layer) {
    String name = block(layer).name();
    return new MoeBlock(
        name,
        layer,
        6,
        2,
        8,
        12,
        Activation.SILU,
        Architecture.Scoring.TOP_K_THEN_SOFTMAX,
        true,
        Set.of(Role.GATE, Role.UP, Role.DOWN),
        name + ".gate.weight",
        List.of());
  }

  private static TappedModel.Block block(int layer) {
    return new TappedModel.Block("layers." + layer + ".block_sparse_moe", layer, 6, 2);
  }

  private record Finished(int status, String output) {}

  private static Finished run(Map<String, String> environment, String... arguments)
      throws IOException, InterruptedException {
    Path output = Files.createTempFile("smelt-hook", ".txt");
    try {
      ProcessBuilder builder = new ProcessBuilder(new ArrayList<>(List.of(PYTHON)));
      builder.command().addAll(List.of(arguments));
      builder.directory(Path.of("hook").toFile());
      builder.environment().putAll(environment);
      builder.environment().put("PYTHONDONTWRITEBYTECODE", "1");
      Process process = builder.redirectErrorStream(true).redirectOutput(output.toFile()).start();
      boolean ended = process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS);
      process.destroyForcibly();
      return new Finished(ended ? process.exitValue() : -1, Files.readString(output));
    } finally {
      Files.delete(output);
    }
  }
}
