package dev.smelt.agent.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.smelt.agent.Goldens;
import dev.smelt.agent.statistics.RoutingTrace;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.safetensors.SafetensorsFile;
import dev.smelt.streams.usage.Usage;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class PlannerGoldenTest {

  private static Checkpoint checkpoint;
  private static SafetensorsFile expected;
  private static Map<String, Usage> usage;

  @BeforeAll
  static void open() {
    checkpoint = Checkpoint.open(Goldens.path("mixtral-grouping"));
    expected = SafetensorsFile.open(Goldens.path("mixtral-grouping/expected.safetensors"));
    usage =
        RoutingTrace.read(
            checkpoint.blocks(), List.of(Goldens.path("mixtral-grouping/routing.safetensors")));
  }

  @AfterAll
  static void close() {
    checkpoint.close();
    expected.close();
  }

  @Test
  void shouldCountUsageAsTheReference() {
    for (MoeBlock block : checkpoint.blocks()) {
      assertThat(usage.get(block.name()).counts())
          .isEqualTo(expected.longs(block.name() + ".counts"));
      assertThat(usage.get(block.name()).frequency())
          .containsExactly(doubles(block, ".usage_frequency"), within(1e-6));
    }
  }

  @Test
  void shouldFindExpertsAsSimilarAsTheReference() {
    for (MoeBlock block : checkpoint.blocks()) {
      double[] gram = usage.get(block.name()).logitGram().orElseThrow();
      assertThat(SimilarityMatrix.ofGram(block.experts(), gram).values())
          .containsExactly(doubles(block, ".similarity"), within(1e-5));
    }
  }

  @Test
  void shouldGroupAsTheReference() {
    PlanOptions options =
        new PlanOptions(Strategy.M_SMOE, Similarity.ROUTER_LOGITS, Budget.REFERENCE, 4);

    Plan plan = Planner.plan(checkpoint, usage, options);

    for (MoeBlock block : checkpoint.blocks()) {
      LayerPlan layer = plan.layer(block.name()).orElseThrow();
      assertThat(layer.dominant()).isEqualTo(integers(block, ".dominant_experts"));
      assertThat(layer.labels()).isEqualTo(integers(block, ".group_labels"));
    }
  }

  private static double[] doubles(MoeBlock block, String suffix) {
    return expected.doubles(block.name() + suffix);
  }

  private static List<Integer> integers(MoeBlock block, String suffix) {
    return Arrays.stream(expected.ints(block.name() + suffix)).boxed().toList();
  }
}
