package dev.smelt.agent.compress;

import static org.assertj.core.api.Assertions.assertThat;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.merge.Alignment;
import dev.smelt.agent.merge.AlignmentCache;
import dev.smelt.agent.plan.Budget;
import dev.smelt.agent.plan.Plan;
import dev.smelt.agent.plan.PlanOptions;
import dev.smelt.agent.plan.Planner;
import dev.smelt.agent.plan.Similarity;
import dev.smelt.agent.plan.Strategy;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.CompactExperts;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import dev.smelt.store.checkpoint.UntouchedBlock;
import dev.smelt.store.export.Exporter;
import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.SafetensorsWriter;
import dev.smelt.store.safetensors.Tensor;
import dev.smelt.streams.usage.Usage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.assertj.core.data.Offset;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Checkpoints that keep their experts in other ways than Mixtral. */
class LayoutsTest {

  private static final int EXPERTS = 4;
  private static final int HIDDEN = 6;
  private static final int WIDTH = 10;
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

    try (Checkpoint before = Checkpoint.open(folder.resolve("base"));
        Checkpoint after = Checkpoint.open(written)) {
      for (String name :
          List.of(
              "model.layers.0.mlp.up_proj.weight",
              "model.layers.1.mlp.shared_experts.up_proj.weight")) {
        assertThat(after.floats(name)).isEqualTo(before.floats(name));
      }
    }
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
  }

  /** Merges into two groups, and checks a pair's plain average in the written expanded form. */
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
              Map.of(block.name(), evenUsage(block)),
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
            mean[i] += values[i] / EXPERTS;
          }
        }
        assertThat(new CompactExperts(merged).weight(block, 0, role)).containsExactly(mean, CLOSE);
        assertThat(merged.tensors().values())
            .filteredOn(tensor -> tensor.dtype() != DType.I32)
            .allMatch(tensor -> tensor.dtype() == type);
      }
      Exporter.expanded(merged, checkpoint, expanded);
      Exporter.compact(merged, checkpoint, folder.resolve("compact"));
      try (Checkpoint compact = Checkpoint.open(folder.resolve("compact"))) {
        assertThat(compact.blocks()).isEqualTo(checkpoint.blocks());
      }
      try (Checkpoint written = Checkpoint.open(expanded)) {
        for (Role role : block.roles()) {
          assertThat(written.expert(written.blocks().get(0), 3, role))
              .isEqualTo(new CompactExperts(merged).weight(block, 0, role));
        }
      }
    }
    return expanded;
  }

  private static Usage evenUsage(MoeBlock block) {
    var usage = Usage.accumulator(EXPERTS, block.topK());
    for (int expert = 0; expert < EXPERTS; expert++) {
      int[] ids = new int[block.topK()];
      for (int pick = 0; pick < ids.length; pick++) {
        ids[pick] = (expert + pick) % EXPERTS;
      }
      usage.add(ids, 1);
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
