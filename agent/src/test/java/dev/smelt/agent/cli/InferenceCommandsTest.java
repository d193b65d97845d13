package dev.smelt.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.smelt.agent.inference.Evaluation;
import dev.smelt.agent.inference.ForwardObserver;
import dev.smelt.agent.inference.MoeModel;
import dev.smelt.agent.inference.TinyCheckpoint;
import dev.smelt.agent.statistics.MomentsFile;
import dev.smelt.agent.statistics.RoutingTrace;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.safetensors.SafetensorsFile;
import dev.smelt.store.safetensors.Tensor;
import dev.smelt.store.snapshot.ManifestDraft;
import dev.smelt.store.snapshot.SnapshotStore;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

class InferenceCommandsTest {

  @TempDir private Path folder;

  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();
  private Path checkpoint;
  private Path text;

  @BeforeEach
  void write() throws IOException {
    checkpoint = new TinyCheckpoint(1).write(folder.resolve("tiny"));
    text = folder.resolve("text.txt");
    byte[] bytes = new byte[3000];
    new Random(2).nextBytes(bytes);
    Files.write(text, bytes);
  }

  @Test
  void shouldEvaluateAndPrintJson() throws IOException {
    int exit = run("evaluate", "--checkpoint", checkpoint, "--text", text, "--json");

    assertThat(exit).isZero();
    JsonNode result = new ObjectMapper().readTree(out.toString());
    MoeModel model = MoeModel.load(checkpoint);
    assertThat(result.path("bitsPerByte").asDouble())
        .isCloseTo(
            Evaluation.score(model, Files.readAllBytes(text), ForwardObserver.NONE, done -> {})
                .bitsPerByte(),
            within(1e-9));
    assertThat(result.path("perplexity").asDouble()).isGreaterThan(1);
    assertThat(result.path("expertBytes").asLong()).isEqualTo(model.expertBytes());
    assertThat(result.path("flopsPerToken").asDouble()).isPositive();
    assertThat(result.path("bytes").asLong()).isEqualTo(3000);
    assertThat(err.toString()).contains("evaluating: 100 %");
  }

  @Test
  void shouldTraceWithMoments() {
    Path trace = folder.resolve("t.routing.safetensors");

    int exit =
        run("trace", "--checkpoint", checkpoint, "--text", text, text, "--moments", "-o", trace);

    assertThat(exit).isZero();
    try (Checkpoint opened = Checkpoint.open(checkpoint)) {
      var block = opened.blocks().get(1);
      var usage = RoutingTrace.read(opened.blocks(), List.of(trace)).get(block.name());
      assertThat(usage.tokens()).isEqualTo(6000);
      assertThat(usage.requests()).isEqualTo(24);
      var moments =
          MomentsFile.read(block, List.of(folder.resolve("t.moments.safetensors"))).experts();
      for (int expert = 0; expert < block.experts(); expert++) {
        assertThat(moments.get(expert).tokens()).isEqualTo(usage.counts()[expert]);
      }
    }
  }

  @Test
  void shouldCompareStrategiesAndShowProgressBesideJson() throws IOException {
    Path traffic = Files.createDirectory(folder.resolve("traffic"));
    Files.copy(text, traffic.resolve("a.txt"));
    Files.copy(text, traffic.resolve("b.txt"));

    int exit =
        run(
            "ablate",
            "--checkpoint",
            checkpoint,
            "--traffic",
            traffic,
            "--bytes",
            512,
            "--strategy",
            "m-smoe,smelt",
            "--off",
            "50",
            "--json");

    assertThat(exit).isZero();
    JsonNode result = new ObjectMapper().readTree(out.toString());
    assertThat(result.path("rows")).hasSize(2 * (2 + 2) + 2 + 3 + 3);
    assertThat(result.path("full").path("score").path("bytes").asLong()).isEqualTo(512);
    assertThat(err.toString()).contains("comparing: 6 %").contains("comparing: 100 %");
  }

  @Test
  void shouldEvaluateASnapshotOfAStore() throws Exception {
    // Given a snapshot that keeps half of the first layer's experts
    Path store = folder.resolve("store");
    String id;
    try (Checkpoint opened = Checkpoint.open(checkpoint);
        SafetensorsFile file = SafetensorsFile.open(checkpoint.resolve("model.safetensors"));
        SnapshotStore snapshots = SnapshotStore.open(store, Clock.systemUTC());
        var publication = snapshots.begin("tiny")) {
      String block = TinyCheckpoint.block(0);
      publication.add(
          Tensor.ints(block + ".experts.map", List.of(6L), new int[] {0, 1, 2, 0, 1, 2}));
      for (int group = 0; group < 3; group++) {
        String base = block + ".groups." + group + ".";
        publication.add(
            Tensor.of(file, TinyCheckpoint.expert(0, group, "w1")).named(base + "gate.weight"));
        publication.add(
            Tensor.of(file, TinyCheckpoint.expert(0, group, "w3")).named(base + "up.weight"));
        publication.add(
            Tensor.of(file, TinyCheckpoint.expert(0, group, "w2")).named(base + "down.weight"));
      }
      id = publication.commit(ManifestDraft.of("test", "manual", "m-smoe", opened.digest())).id();
    }

    // When
    int exit =
        run(
            "evaluate",
            "--checkpoint",
            checkpoint,
            "--text",
            text,
            "--store",
            store,
            "--snapshot",
            id,
            "--json");

    // Then
    assertThat(err.toString()).doesNotContain("smelt:");
    assertThat(exit).isZero();
    assertThat(new ObjectMapper().readTree(out.toString()).path("expertBytes").asLong())
        .isEqualTo(MoeModel.load(checkpoint).expertBytes() * 9 / 12 + 6 * Integer.BYTES);
  }

  @Test
  void shouldNameATextThatIsNotThere() {
    assertThat(run("evaluate", "--checkpoint", checkpoint, "--text", folder.resolve("none.txt")))
        .isEqualTo(1);
    assertThat(err.toString())
        .isEqualTo("smelt: " + folder.resolve("none.txt") + ": no such file or folder\n");
  }

  @Test
  void shouldLeaveNoTraceOfAnEmptyText() throws IOException {
    Files.write(text, new byte[0]);
    Path trace = folder.resolve("t.routing.safetensors");

    assertThat(run("trace", "--checkpoint", checkpoint, "--text", text, "-o", trace)).isEqualTo(1);

    assertThat(err.toString()).isEqualTo("smelt: there is no text to trace\n");
    assertThat(trace).doesNotExist();
  }

  @Test
  void shouldRefuseMomentsOfMergedExperts() {
    TinyCheckpoint merged = new TinyCheckpoint(3).compact();
    for (int layer = 0; layer < TinyCheckpoint.LAYERS; layer++) {
      String block = TinyCheckpoint.block(layer);
      merged.put(block + ".experts.map", 0, 0, 0, 0, 0, 0);
      merged.random(block + ".groups.0.gate.weight", TinyCheckpoint.WIDTH, TinyCheckpoint.HIDDEN);
      merged.random(block + ".groups.0.up.weight", TinyCheckpoint.WIDTH, TinyCheckpoint.HIDDEN);
      merged.random(block + ".groups.0.down.weight", TinyCheckpoint.HIDDEN, TinyCheckpoint.WIDTH);
    }
    Path compact = merged.write(folder.resolve("compact"));

    assertThat(
            run(
                "trace",
                "--checkpoint",
                compact,
                "--text",
                text,
                "--moments",
                "-o",
                folder.resolve("t.routing.safetensors")))
        .isEqualTo(1);
    assertThat(err.toString()).contains("its experts are merged").contains("original checkpoint");
  }

  @Test
  void shouldDrawABarOnATerminalAndLinesInAPipe() {
    ProgressLine bar = new ProgressLine(new PrintWriter(err), "work", true, () -> 0);
    bar.show(50, 100);
    bar.show(10, 100);
    bar.show(100, 100);
    ProgressLine lines = new ProgressLine(new PrintWriter(out), "work", false, () -> 0);
    lines.show(1, 100);
    lines.show(2, 100);
    lines.show(100, 100);

    assertThat(err.toString())
        .isEqualTo(
            "\rwork [###############---------------]  50 %\u001b[K"
                + "\rwork [##############################] 100 %\u001b[K\n");
    assertThat(out.toString()).isEqualTo("work: 1 %\nwork: 100 %\n");
  }

  @Test
  void shouldTellTheTimeLeftAtTheRateSinceWhatWasDoneBefore() {
    AtomicLong seconds = new AtomicLong();
    ProgressLine lines =
        new ProgressLine(new PrintWriter(out), "work", false, () -> seconds.get() * 1_000_000_000L);
    lines.show(40, 100);
    seconds.set(10);
    lines.show(50, 100);
    seconds.set(200);
    lines.show(60, 100);
    seconds.set(20_000);
    lines.show(80, 100);
    lines.show(100, 100);

    assertThat(out.toString())
        .isEqualTo(
            """
            work: 40 %
            work: 50 %, 50 s left
            work: 60 %, 6 min 40 s left
            work: 80 %, 2 h 46 min left
            work: 100 %
            """);
  }

  private int run(Object... arguments) {
    CommandLine commandLine = SmeltCommand.commandLine();
    commandLine.setOut(new PrintWriter(out)).setErr(new PrintWriter(err));
    String[] words = new String[arguments.length];
    for (int i = 0; i < words.length; i++) {
      words[i] = arguments[i].toString();
    }
    return commandLine.execute(words);
  }
}
