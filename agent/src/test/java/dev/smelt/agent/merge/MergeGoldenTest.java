package dev.smelt.agent.merge;

import static org.assertj.core.api.Assertions.assertThat;

import dev.smelt.agent.Goldens;
import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.plan.Budget;
import dev.smelt.agent.plan.LayerPlan;
import dev.smelt.agent.plan.Plan;
import dev.smelt.agent.plan.PlanOptions;
import dev.smelt.agent.plan.Planner;
import dev.smelt.agent.plan.Similarity;
import dev.smelt.agent.plan.Strategy;
import dev.smelt.agent.statistics.RoutingTrace;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import dev.smelt.store.safetensors.SafetensorsFile;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MergeGoldenTest {

  private static final Offset<Float> CLOSE = Offset.offset(1e-5f);

  @Test
  void shouldMergeMixtralExpertsAsTheReference() {
    try (Checkpoint checkpoint = Checkpoint.open(Goldens.path("mixtral-grouping"));
        SafetensorsFile expected =
            SafetensorsFile.open(Goldens.path("mixtral-grouping/expected.safetensors"))) {
      // Given
      Plan plan =
          Planner.plan(
              checkpoint,
              RoutingTrace.read(
                  checkpoint.blocks(),
                  List.of(Goldens.path("mixtral-grouping/routing.safetensors"))),
              new PlanOptions(Strategy.M_SMOE, Similarity.ROUTER_LOGITS, Budget.REFERENCE, 4));
      GroupMerger merger = new GroupMerger(checkpoint);

      for (MoeBlock block : checkpoint.blocks()) {
        LayerPlan layer = plan.layer(block.name()).orElseThrow();
        for (int group = 0; group < layer.groups(); group++) {
          // When
          ExpertWeights merged = merger.merge(block, layer, group, NeuronOrders.STORED).weights();

          // Then
          for (int member : layer.members(group)) {
            String prefix = block.name() + ".merged_without_alignment.experts." + member + ".";
            assertThat(merged.matrix(Role.GATE).values())
                .containsExactly(expected.floats(prefix + "w1.weight"), CLOSE);
            assertThat(merged.matrix(Role.UP).values())
                .containsExactly(expected.floats(prefix + "w3.weight"), CLOSE);
            assertThat(merged.matrix(Role.DOWN).values())
                .containsExactly(expected.floats(prefix + "w2.weight"), CLOSE);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"encoder.block.1.layer.1.mlp", "encoder.block.3.layer.1.mlp"})
  void shouldAlignAndMergeSwitchExpertsAsTheReference(String block) {
    try (SafetensorsFile inputs =
            SafetensorsFile.open(Goldens.path("switch-alignment/inputs.safetensors"));
        SafetensorsFile expected =
            SafetensorsFile.open(Goldens.path("switch-alignment/expected.safetensors"))) {
      Aligner aligner = new Aligner(Compute.cpu());
      double[] frequency = inputs.doubles(block + ".usage_frequency");
      int[] labels = inputs.ints(block + ".group_labels");
      List<ExpertWeights> experts =
          IntStream.range(0, labels.length).mapToObj(e -> switchExpert(inputs, block, e)).toList();

      for (int e = 0; e < labels.length; e++) {
        int label = labels[e];
        int lowest =
            IntStream.range(0, labels.length).filter(i -> labels[i] == label).min().orElseThrow();
        assertThat(aligner.permutation(experts.get(lowest), experts.get(e)))
            .isEqualTo(expected.ints(block + ".permutation." + e));
        assertThat(aligner.permutation(experts.get(0), experts.get(e)))
            .isEqualTo(expected.ints(block + ".permutation_to_expert_0." + e));

        WeightedMerge aligned = new WeightedMerge();
        WeightedMerge plain = new WeightedMerge();
        for (int member = 0; member < labels.length; member++) {
          if (labels[member] == label) {
            ExpertWeights expert = experts.get(member);
            plain.add(expert, frequency[member]);
            aligned.add(
                expert, frequency[member], aligner.permutation(experts.get(lowest), expert));
          }
        }
        assertMerged(aligned.result(), expected, block + ".merged_with_alignment", e);
        assertMerged(plain.result(), expected, block + ".merged_without_alignment", e);
      }
    }
  }

  private static void assertMerged(
      ExpertWeights merged, SafetensorsFile expected, String prefix, int expert) {
    String name = prefix + ".experts.expert_" + expert;
    assertThat(merged.matrix(Role.UP).values())
        .containsExactly(expected.floats(name + ".wi.weight"), CLOSE);
    assertThat(merged.matrix(Role.DOWN).values())
        .containsExactly(expected.floats(name + ".wo.weight"), CLOSE);
  }

  private static ExpertWeights switchExpert(SafetensorsFile inputs, String block, int expert) {
    String prefix = block + ".experts.expert_" + expert;
    Map<Role, Matrix> matrices = new EnumMap<>(Role.class);
    matrices.put(Role.UP, matrix(inputs, prefix + ".wi.weight"));
    matrices.put(Role.DOWN, matrix(inputs, prefix + ".wo.weight"));
    return new ExpertWeights(matrices);
  }

  private static Matrix matrix(SafetensorsFile file, String name) {
    List<Long> shape = file.tensor(name).shape();
    return new Matrix(
        Math.toIntExact(shape.get(0)), Math.toIntExact(shape.get(1)), file.floats(name));
  }
}
