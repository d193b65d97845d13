package dev.smelt.agent.compress;

import static org.assertj.core.api.Assertions.assertThat;

import dev.smelt.agent.cli.SmeltCommand;
import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.merge.Alignment;
import dev.smelt.agent.merge.AlignmentCache;
import dev.smelt.agent.merge.ExpertWeights;
import dev.smelt.agent.plan.Budget;
import dev.smelt.agent.plan.Plan;
import dev.smelt.agent.plan.PlanFile;
import dev.smelt.agent.plan.PlanOptions;
import dev.smelt.agent.plan.Planner;
import dev.smelt.agent.plan.Similarity;
import dev.smelt.agent.plan.Strategy;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.CompactExperts;
import dev.smelt.store.checkpoint.ExpertTensors;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import dev.smelt.store.checkpoint.UntouchedBlock;
import dev.smelt.store.export.Exporter;
import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.SafetensorsWriter;
import dev.smelt.store.safetensors.Tensor;
import dev.smelt.streams.usage.Usage;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.assertj.core.data.Offset;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import picocli.CommandLine;

/** Checkpoints that keep their experts in other ways than Mixtral. */
class LayoutsTest {

  private static final int EXPERTS = 4;
  private static final int HIDDEN = 6;
  private static final int WIDTH = 10;
  private static final double[] FREQUENCY = {0.1, 0.2, 0.3, 0.4};
  private static final Offset<Float> CLOSE = Offset.offset(0.02f);

  @TempDir private Path folder;

  private final Random random = new Random(11);

  private DType type = DType.BF16;
  private @Nullable Plan planned;

  @Test
  void shouldMergeUngatedExpertsOfATopOneRouter() throws IOException {
    List<Tensor> tensors = new ArrayList<>();
    tensors.add(tensor("encoder.block.1.layer.1.mlp.router.classifier.weight", EXPERTS, HIDDEN));
    for (int expert = 0; expert < EXPERTS; expert++) {
      String name = "encoder.block.1.layer.1.mlp.experts.expert_" + expert;
      tensors.add(tensor(name + ".wi.weight", WIDTH, HIDDEN));
      tensors.add(tensor(name + ".wo.weight", HIDDEN, WIDTH));
    }
    merge("{\"model_type\": \"switch_transformers\", \"num_experts\": 4, \"d_ff\": 10}", tensors);
  }

  @Test
  void shouldMergeFusedExpertsWithBiases() throws IOException {
    merge(
        "{\"model_type\": \"gpt_oss\", \"num_local_experts\": 4, \"num_experts_per_tok\": 2}",
        List.of(
            tensor("model.layers.0.mlp.router.weight", EXPERTS, HIDDEN),
            tensor("model.layers.0.mlp.router.bias", EXPERTS),
            tensor("model.layers.0.mlp.experts.gate_up_proj", EXPERTS, HIDDEN, 2 * WIDTH),
            tensor("model.layers.0.mlp.experts.gate_up_proj_bias", EXPERTS, 2 * WIDTH),
            tensor("model.layers.0.mlp.experts.down_proj", EXPERTS, WIDTH, HIDDEN),
            tensor("model.layers.0.mlp.experts.down_proj_bias", EXPERTS, HIDDEN)));
  }

  @Test
  void shouldMergeRoutedExpertsAndLeaveSharedOnesAlone() throws IOException {
    List<Tensor> tensors = new ArrayList<>();
    tensors.add(tensor("model.layers.0.mlp.up_proj.weight", WIDTH, HIDDEN));
    tensors.add(tensor("model.layers.1.mlp.gate.weight", EXPERTS, HIDDEN));
    tensors.add(tensor("model.layers.1.mlp.shared_experts.up_proj.weight", WIDTH, HIDDEN));
    for (int expert = 0; expert < EXPERTS; expert++) {
      String name = "model.layers.1.mlp.experts." + expert;
      tensors.add(tensor(name + ".gate_proj.weight", WIDTH, HIDDEN));
      tensors.add(tensor(name + ".up_proj.weight", WIDTH, HIDDEN));
      tensors.add(tensor(name + ".down_proj.weight", HIDDEN, WIDTH));
    }
    Path written =
        merge(
            "{\"model_type\": \"deepseek_v2\", \"n_routed_experts\": 4, \"num_experts_per_tok\": 2}",
            tensors);

    assertUnchanged(
        written,
        "model.layers.0.mlp.up_proj.weight",
        "model.layers.1.mlp.shared_experts.up_proj.weight");
  }

  @Test
  void shouldMergeExpertsThatShareATensorInHalves() throws IOException {
    merge(
        "{\"model_type\": \"granitemoe\", \"num_local_experts\": 4, \"num_experts_per_tok\": 2}",
        List.of(
            tensor("model.layers.0.block_sparse_moe.router.layer.weight", EXPERTS, HIDDEN),
            tensor(
                "model.layers.0.block_sparse_moe.input_linear.weight", EXPERTS, 2 * WIDTH, HIDDEN),
            tensor(
                "model.layers.0.block_sparse_moe.output_linear.weight", EXPERTS, HIDDEN, WIDTH)));
  }

  @Test
  void shouldMergeTransposedExpertsThatShareATensorInHalves() throws IOException {
    String block = "language_model.model.layers.1.feed_forward.";
    Path written =
        merge(
            "{\"model_type\": \"llama4\", \"text_config\": {\"num_local_experts\": 4, \"num_experts_per_tok\": 1}}",
            List.of(
                tensor("language_model.model.layers.0.feed_forward.up_proj.weight", WIDTH, HIDDEN),
                tensor(block + "router.weight", EXPERTS, HIDDEN),
                tensor(block + "experts.gate_up_proj", EXPERTS, HIDDEN, 2 * WIDTH),
                tensor(block + "experts.down_proj", EXPERTS, WIDTH, HIDDEN),
                tensor(block + "shared_expert.up_proj.weight", WIDTH, HIDDEN)));

    assertUnchanged(
        written,
        "language_model.model.layers.0.feed_forward.up_proj.weight",
        block + "shared_expert.up_proj.weight");
  }

  @ParameterizedTest
  @CsvSource({
    "qwen2_moe, num_experts, shared_expert.up_proj.weight",
    "qwen3_moe, num_experts, other.weight",
    "olmoe, num_experts, other.weight",
    "deepseek_v3, n_routed_experts, shared_experts.up_proj.weight",
  })
  void shouldMergeRoutedExpertsOfAllOfAKind(String type, String key, String other)
      throws IOException {
    String block = "model.layers.1.mlp.";
    List<Tensor> tensors = new ArrayList<>();
    tensors.add(tensor("model.layers.0.mlp.up_proj.weight", WIDTH, HIDDEN));
    tensors.add(tensor(block + "gate.weight", EXPERTS, HIDDEN));
    tensors.add(tensor(block + other, WIDTH, HIDDEN));
    for (int expert = 0; expert < EXPERTS; expert++) {
      tensors.add(tensor(block + "experts." + expert + ".gate_proj.weight", WIDTH, HIDDEN));
      tensors.add(tensor(block + "experts." + expert + ".up_proj.weight", WIDTH, HIDDEN));
      tensors.add(tensor(block + "experts." + expert + ".down_proj.weight", HIDDEN, WIDTH));
    }
    if (type.equals("deepseek_v3")) {
      tensors.add(tensor(block + "gate.e_score_correction_bias", EXPERTS));
    }

    Path written =
        merge(
            "{\"model_type\": \"%s\", \"%s\": 4, \"num_experts_per_tok\": 2}".formatted(type, key),
            tensors);

    assertUnchanged(
        written, "model.layers.0.mlp.up_proj.weight", block + other, block + "gate.weight");
  }

  @ParameterizedTest
  @EnumSource(names = {"F16", "F32"})
  void shouldMergeInTheStoredType(DType stored) throws IOException {
    type = stored;
    List<Tensor> tensors = new ArrayList<>();
    tensors.add(tensor("model.layers.0.block_sparse_moe.gate.weight", EXPERTS, HIDDEN));
    for (int expert = 0; expert < EXPERTS; expert++) {
      String name = "model.layers.0.block_sparse_moe.experts." + expert;
      tensors.add(tensor(name + ".w1.weight", WIDTH, HIDDEN));
      tensors.add(tensor(name + ".w2.weight", HIDDEN, WIDTH));
      tensors.add(tensor(name + ".w3.weight", WIDTH, HIDDEN));
    }
    merge(
        "{\"model_type\": \"mixtral\", \"num_local_experts\": 4, \"num_experts_per_tok\": 2}",
        tensors);
  }

  @Test
  void shouldCopyAndNameABlockThatIsQuantised() throws IOException {
    List<Tensor> tensors = new ArrayList<>();
    for (int layer = 0; layer < 2; layer++) {
      String block = "model.layers." + layer + ".mlp.";
      tensors.add(tensor(block + "router.weight", EXPERTS, HIDDEN));
      tensors.add(tensor(block + "router.bias", EXPERTS));
      tensors.add(tensor(block + "experts.gate_up_proj_bias", EXPERTS, 2 * WIDTH));
      tensors.add(tensor(block + "experts.down_proj_bias", EXPERTS, HIDDEN));
    }
    String quantised = "model.layers.0.mlp.experts.";
    byte[] blocks = {1, 2, 3, 4};
    for (String name : List.of("gate_up_proj_blocks", "down_proj_blocks")) {
      tensors.add(Tensor.raw(quantised + name, DType.U8, List.of(4L), blocks));
    }
    tensors.add(tensor("model.layers.1.mlp.experts.gate_up_proj", EXPERTS, HIDDEN, 2 * WIDTH));
    tensors.add(tensor("model.layers.1.mlp.experts.down_proj", EXPERTS, WIDTH, HIDDEN));

    Path expanded =
        merge(
            "{\"model_type\": \"gpt_oss\", \"num_local_experts\": 4, \"num_experts_per_tok\": 2}",
            tensors);

    for (Path written : List.of(expanded, folder.resolve("compact"))) {
      try (Checkpoint after = Checkpoint.open(written)) {
        assertThat(after.untouched())
            .extracting(UntouchedBlock::name)
            .containsExactly("model.layers.0.mlp");
        byte[] copied = new byte[4];
        after.bytes(quantised + "down_proj_blocks", 0, 4).get(copied);
        assertThat(copied).isEqualTo(blocks);
        assertThat(after.tensors()).containsKey(quantised + "down_proj_bias");
      }
    }
    assertThat(planned.untouched())
        .singleElement()
        .satisfies(
            one -> {
              assertThat(one.block()).isEqualTo("model.layers.0.mlp");
              assertThat(one.reason()).contains("is quantised");
            });
    assertThat(saidByCompress(planned))
        .contains("model.layers.0.mlp: copied as it is, model.layers.0.mlp.experts.gate_up_proj");
  }

  private String saidByCompress(Plan plan) {
    PlanFile.write(plan, folder.resolve("plan.json"));
    StringWriter out = new StringWriter();
    CommandLine command = SmeltCommand.commandLine();
    command.setOut(new PrintWriter(out)).setErr(new PrintWriter(out));
    command.execute(
        "compress",
        "--checkpoint",
        folder.resolve("base").toString(),
        "--plan",
        folder.resolve("plan.json").toString(),
        "-o",
        folder.resolve("by-command").toString());
    return out.toString();
  }

  @Test
  void shouldCopyAndNameABlockWhoseExpertsDifferInWidth() throws IOException {
    List<Tensor> tensors = new ArrayList<>();
    for (int layer = 0; layer < 2; layer++) {
      String block = "model.layers." + layer + ".block_sparse_moe.";
      tensors.add(tensor(block + "gate.weight", EXPERTS, HIDDEN));
      for (int expert = 0; expert < EXPERTS; expert++) {
        int width = layer == 0 && expert == 2 ? WIDTH - 3 : WIDTH;
        tensors.add(tensor(block + "experts." + expert + ".w1.weight", width, HIDDEN));
        tensors.add(tensor(block + "experts." + expert + ".w2.weight", HIDDEN, width));
        tensors.add(tensor(block + "experts." + expert + ".w3.weight", width, HIDDEN));
      }
    }

    Path expanded =
        merge(
            "{\"model_type\": \"mixtral\", \"num_local_experts\": 4, \"num_experts_per_tok\": 2}",
            tensors);

    String uneven = "model.layers.0.block_sparse_moe";
    for (Path written : List.of(expanded, folder.resolve("compact"))) {
      try (Checkpoint before = Checkpoint.open(folder.resolve("base"));
          Checkpoint after = Checkpoint.open(written)) {
        assertThat(after.untouched()).extracting(UntouchedBlock::name).containsExactly(uneven);
        for (String name : before.tensors().keySet()) {
          if (name.startsWith(uneven)) {
            assertThat(after.floats(name)).isEqualTo(before.floats(name));
          }
        }
      }
    }
    assertThat(planned.untouched())
        .singleElement()
        .satisfies(
            one -> {
              assertThat(one.block()).isEqualTo(uneven);
              assertThat(one.reason())
                  .contains("experts.2.w2.weight has 7 hidden neurons where expert 0 has 10");
            });
  }

  @Test
  void shouldLeaveALayerOfOneExpertAsItIs() throws IOException {
    String name = "model.layers.0.block_sparse_moe.";
    Path base = Files.createDirectory(folder.resolve("base"));
    Files.writeString(
        base.resolve("config.json"),
        "{\"model_type\": \"mixtral\", \"num_local_experts\": 1, \"num_experts_per_tok\": 1}");
    SafetensorsWriter.write(
        base.resolve("model.safetensors"),
        Map.of(),
        List.of(
            tensor(name + "gate.weight", 1, HIDDEN),
            tensor(name + "experts.0.w1.weight", WIDTH, HIDDEN),
            tensor(name + "experts.0.w2.weight", HIDDEN, WIDTH),
            tensor(name + "experts.0.w3.weight", WIDTH, HIDDEN)));
    try (Checkpoint checkpoint = Checkpoint.open(base)) {
      MoeBlock block = checkpoint.blocks().get(0);
      Plan plan =
          Planner.plan(
              checkpoint,
              Map.of(block.name(), Usage.accumulator(1, 1).add(new int[] {0}, 1).build()),
              new PlanOptions(Strategy.M_SMOE, Similarity.WEIGHT, Budget.EXACT, 1));
      MemoryTensors merged = aligned(checkpoint, plan);
      for (Role role : block.roles()) {
        assertThat(new CompactExperts(merged).weight(block, 0, role))
            .isEqualTo(checkpoint.expert(block, 0, role));
      }
    }
  }

  private void assertUnchanged(Path written, String... names) {
    try (Checkpoint before = Checkpoint.open(folder.resolve("base"));
        Checkpoint after = Checkpoint.open(written)) {
      for (String name : names) {
        assertThat(after.floats(name)).isEqualTo(before.floats(name));
      }
    }
  }

  /**
   * Merges into one group, and checks the average by frequency in the written forms; then that
   * experts which are one another's copies with neurons in another order merge to what they are.
   */
  private Path merge(String config, List<Tensor> tensors) throws IOException {
    Path base = Files.createDirectory(folder.resolve("base"));
    Files.writeString(base.resolve("config.json"), config);
    SafetensorsWriter.write(base.resolve("model.safetensors"), Map.of(), tensors);
    Path expanded = folder.resolve("expanded");
    try (Checkpoint checkpoint = Checkpoint.open(base)) {
      MoeBlock block = checkpoint.blocks().get(0);
      Plan plan =
          Planner.plan(
              checkpoint,
              Map.of(block.name(), usage(block)),
              new PlanOptions(Strategy.M_SMOE, Similarity.WEIGHT, Budget.EXACT, 1));
      planned = plan;
      MemoryTensors merged = new MemoryTensors();
      new Compressor(Compute.cpu())
          .compress(
              checkpoint,
              plan,
              new CompressOptions(Alignment.NONE, AlignmentCache.inMemory(), new Whole()),
              merged,
              Progress.none());
      for (Role role : block.roles()) {
        float[] mean = new float[block.elements(role)];
        for (int expert = 0; expert < EXPERTS; expert++) {
          float[] values = checkpoint.expert(block, expert, role);
          for (int i = 0; i < mean.length; i++) {
            mean[i] += (float) (FREQUENCY[expert] * values[i] / (1 + 1e-7));
          }
        }
        assertThat(new CompactExperts(merged).weight(block, 0, role)).containsExactly(mean, CLOSE);
        assertThat(merged.tensors().values())
            .filteredOn(tensor -> tensor.dtype() != DType.I32)
            .allMatch(tensor -> tensor.dtype() == type);
      }
      Exporter.expanded(merged, checkpoint, expanded);
      Exporter.compact(merged, Map.of(), checkpoint, folder.resolve("compact"));
      try (Checkpoint compact = Checkpoint.open(folder.resolve("compact"))) {
        assertThat(compact.blocks()).isEqualTo(checkpoint.blocks());
      }
      try (Checkpoint written = Checkpoint.open(expanded)) {
        for (Role role : block.roles()) {
          assertThat(written.expert(written.blocks().get(0), 3, role))
              .isEqualTo(new CompactExperts(merged).weight(block, 0, role));
        }
      }
      assertShuffledCopiesMergeToThemselves(checkpoint, plan);
    }
    return expanded;
  }

  private void assertShuffledCopiesMergeToThemselves(Checkpoint checkpoint, Plan plan)
      throws IOException {
    MoeBlock block = checkpoint.blocks().get(0);
    int dominant = plan.layers().get(0).dominant().get(0);
    ExpertWeights original = ExpertWeights.read(checkpoint, block, dominant);
    List<ExpertWeights> copies = new ArrayList<>();
    for (int expert = 0; expert < EXPERTS; expert++) {
      ExpertWeights copy = expert == dominant ? original : original.permuted(shuffled());
      copies.add(copy);
      assertThat(outputs(copy)).containsExactly(outputs(original), Offset.offset(1e-5));
    }
    Path shuffled = Files.createDirectory(folder.resolve("shuffled"));
    Files.copy(checkpoint.directory().resolve("config.json"), shuffled.resolve("config.json"));
    Map<String, Tensor> replaced = new HashMap<>();
    ExpertTensors.of(
            checkpoint, block, EXPERTS, (expert, role) -> copies.get(expert).matrix(role).values())
        .forEach(tensor -> replaced.put(tensor.name(), tensor));
    SafetensorsWriter.rewrite(
        checkpoint.files().get("model.safetensors"),
        replaced,
        shuffled.resolve("model.safetensors"));

    try (Checkpoint opened = Checkpoint.open(shuffled)) {
      MemoryTensors merged = aligned(opened, plan);
      for (Role role : block.roles()) {
        assertThat(new CompactExperts(merged).weight(block, 0, role))
            .containsExactly(original.matrix(role).values(), CLOSE);
      }
    }
  }

  private static MemoryTensors aligned(Checkpoint checkpoint, Plan plan) throws IOException {
    MemoryTensors merged = new MemoryTensors();
    new Compressor(Compute.cpu())
        .compress(
            checkpoint,
            plan,
            new CompressOptions(Alignment.DOMINANT, AlignmentCache.inMemory(), new Whole()),
            merged,
            Progress.none());
    return merged;
  }

  /** For one input, with squares for the activation: any other one would do. */
  private static double[] outputs(ExpertWeights expert) {
    Map<Role, Matrix> weights = expert.matrices();
    double[] hidden = affine(weights.get(Role.UP), weights.get(Role.UP_BIAS), input(HIDDEN));
    double[] gate =
        weights.containsKey(Role.GATE)
            ? affine(weights.get(Role.GATE), weights.get(Role.GATE_BIAS), input(HIDDEN))
            : hidden;
    for (int i = 0; i < hidden.length; i++) {
      hidden[i] *= gate[i];
    }
    return affine(weights.get(Role.DOWN), weights.get(Role.DOWN_BIAS), hidden);
  }

  private static double[] input(int size) {
    return IntStream.range(0, size).mapToDouble(i -> Math.sin(i + 1.0)).toArray();
  }

  private static double[] affine(Matrix weight, @Nullable Matrix bias, double[] x) {
    double[] y = new double[weight.rows()];
    for (int i = 0; i < y.length; i++) {
      y[i] = bias == null ? 0 : bias.at(0, i);
      for (int j = 0; j < x.length; j++) {
        y[i] += weight.at(i, j) * x[j];
      }
    }
    return y;
  }

  private int[] shuffled() {
    List<Integer> order = new ArrayList<>(IntStream.range(0, WIDTH).boxed().toList());
    Collections.shuffle(order, random);
    return order.stream().mapToInt(Integer::intValue).toArray();
  }

  /** Counts that are in the ratio of {@link #FREQUENCY}, whatever the router's top k. */
  private static Usage usage(MoeBlock block) {
    var usage = Usage.accumulator(EXPERTS, block.topK());
    int[][] pairs = {{0, 1}, {1, 3}, {2, 3}, {3, 2}, {3, 2}};
    for (int[] pair : pairs) {
      if (block.topK() == 2) {
        usage.add(pair, 1);
      } else {
        for (int expert : pair) {
          usage.add(new int[] {expert}, 1);
        }
      }
    }
    return usage.build();
  }

  private Tensor tensor(String name, int... shape) {
    int elements = Arrays.stream(shape).reduce(1, (a, b) -> a * b);
    float[] values = new float[elements];
    for (int i = 0; i < elements; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return Tensor.floats(
        name, type, Arrays.stream(shape).mapToObj(size -> (long) size).toList(), values);
  }
}
