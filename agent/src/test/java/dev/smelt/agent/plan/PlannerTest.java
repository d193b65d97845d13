package dev.smelt.agent.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.smelt.agent.Goldens;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.safetensors.SafetensorsFile;
import dev.smelt.store.safetensors.TensorInfo;
import dev.smelt.streams.usage.Usage;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PlannerTest {

  private final Checkpoint checkpoint = Checkpoint.open(Goldens.path("mixtral-grouping"));

  @AfterEach
  void close() {
    checkpoint.close();
  }

  @Test
  void shouldMaskWhatFrequencyPruningDrops() {
    Plan plan = plan(Strategy.FREQUENCY_PRUNE, Similarity.ROUTER_LOGITS, usage(8), 3);

    LayerPlan layer = plan.layers().get(0);
    assertThat(layer.dominant()).containsExactly(1, 0, 2);
    assertThat(layer.labels()).containsExactly(1, 0, 2, -1, -1, -1, -1, -1);
    assertThat(plan.similarity()).isEmpty();
  }

  @Test
  void shouldKeepAsManyExpertsAsTheRouterPicks() {
    Plan plan = plan(Strategy.FREQUENCY_PRUNE, Similarity.ROUTER_LOGITS, usage(8), 1);

    assertThat(plan.layers().get(0).groups()).isEqualTo(2);
  }

  @Test
  void shouldGroupByEverySimilarityThatNeedsNoLogits() {
    for (Similarity similarity :
        new Similarity[] {Similarity.CO_ACTIVATION, Similarity.ROUTER_WEIGHT, Similarity.WEIGHT}) {
      Plan plan = plan(Strategy.M_SMOE, similarity, usage(8), 3);

      assertThat(plan.similarity()).contains(similarity);
      assertThat(plan.groups()).isEqualTo(12);
    }
  }

  @Test
  void shouldBoundTheSizeOfGroups() {
    Plan free = plan(Strategy.M_SMOE, Similarity.CO_ACTIVATION, usage(8), 3);
    Plan bounded =
        Planner.plan(
            checkpoint,
            usage(8),
            new PlanOptions(
                Strategy.M_SMOE, Similarity.CO_ACTIVATION, Budget.UNIFORM, 3, OptionalInt.of(3)));

    assertThat(largest(free)).isGreaterThan(3);
    assertThat(largest(bounded)).isEqualTo(3);
    assertThat(bounded.groups()).isEqualTo(free.groups());
    assertThat(bounded.maxGroup()).hasValue(3);
  }

  @Test
  void shouldRefuseGroupsOfNoExpert() {
    assertThatThrownBy(
            () ->
                new PlanOptions(
                    Strategy.M_SMOE, Similarity.WEIGHT, Budget.EXACT, 3, OptionalInt.of(0)))
        .isInstanceOf(PlanException.class)
        .hasMessageContaining("at most 0 experts are outside the possible");
  }

  private static int largest(Plan plan) {
    return plan.layers().stream()
        .flatMapToInt(
            layer -> IntStream.range(0, layer.groups()).map(group -> layer.members(group).size()))
        .max()
        .orElseThrow();
  }

  @Test
  void shouldNotReplaceMissingLogitsSilently() {
    assertThatThrownBy(() -> plan(Strategy.M_SMOE, Similarity.ROUTER_LOGITS, usage(8), 3))
        .isInstanceOf(PlanException.class)
        .hasMessageContaining("needs router logits");
  }

  @Test
  void shouldSayThatReapNeedsOutputNorms() {
    assertThatThrownBy(() -> plan(Strategy.REAP, Similarity.ROUTER_LOGITS, usage(8), 3))
        .isInstanceOf(PlanException.class)
        .hasMessageContaining("reap needs output norms");
  }

  @Test
  void shouldSayThatReamNeedsOutputNorms() {
    assertThatThrownBy(() -> plan(Strategy.REAM, Similarity.CO_ACTIVATION, usage(8), 3))
        .isInstanceOf(PlanException.class)
        .hasMessageContaining("ream needs output norms");
  }

  @Test
  void shouldRefuseOutputNormsThatRankNothing() {
    Map<String, Usage> usage = usage(8);
    usage.replaceAll(
        (block, counted) ->
            Usage.accumulator(8, 2)
                .add(counted)
                .addOutputNorms(new int[] {0, 1}, new float[2], 1)
                .build());

    assertThatThrownBy(() -> plan(Strategy.REAP, Similarity.CO_ACTIVATION, usage, 3))
        .isInstanceOf(PlanException.class)
        .hasMessageContaining("the output norms sum to 0.0");
  }

  @Test
  void shouldNameAnExpertWhoseRouterRowIsNotFinite(@TempDir Path folder) throws IOException {
    for (String file : List.of("config.json", "model.safetensors")) {
      Files.copy(checkpoint.directory().resolve(file), folder.resolve(file));
    }
    MoeBlock block = checkpoint.blocks().get(1);
    long third = 4L * 3 * block.hidden();
    try (SafetensorsFile weights = SafetensorsFile.open(folder.resolve("model.safetensors"));
        FileChannel channel = FileChannel.open(weights.path(), StandardOpenOption.WRITE)) {
      long dataBegins =
          Files.size(weights.path())
              - weights.tensors().values().stream().mapToLong(TensorInfo::end).max().orElseThrow();
      channel.write(
          ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putFloat(Float.NaN).flip(),
          dataBegins + weights.tensor(block.routerWeight()).begin() + third);
    }

    try (Checkpoint damaged = Checkpoint.open(folder)) {
      assertThatThrownBy(
              () ->
                  Planner.plan(
                      damaged,
                      usage(8),
                      new PlanOptions(
                          Strategy.M_SMOE, Similarity.ROUTER_WEIGHT, Budget.UNIFORM, 3)))
          .isInstanceOf(PlanException.class)
          .hasMessageStartingWith(
              block.name()
                  + ": --similarity router-weight finds NaN or infinite values for expert 3");
    }
  }

  @Test
  void shouldNameABlockWithoutStatistics() {
    Map<String, Usage> usage = usage(8);
    usage.remove("model.layers.2.block_sparse_moe");

    assertThatThrownBy(() -> plan(Strategy.M_SMOE, Similarity.CO_ACTIVATION, usage, 3))
        .isInstanceOf(PlanException.class)
        .hasMessageContaining("nothing for model.layers.2.block_sparse_moe");
  }

  @Test
  void shouldNameALayerThatNoTokenWasRoutedTo() {
    Map<String, Usage> usage = usage(8);
    usage.put("model.layers.1.block_sparse_moe", Usage.empty(8, 2));

    assertThatThrownBy(() -> plan(Strategy.M_SMOE, Similarity.CO_ACTIVATION, usage, 3))
        .isInstanceOf(PlanException.class)
        .hasMessageStartingWith("model.layers.1.block_sparse_moe: no token was routed");
  }

  @Test
  void shouldNameStatisticsOfAnotherModel() {
    assertThatThrownBy(() -> plan(Strategy.M_SMOE, Similarity.CO_ACTIVATION, usage(9), 3))
        .isInstanceOf(PlanException.class)
        .hasMessageContaining("count 9 experts")
        .hasMessageContaining("has 8");
  }

  private Plan plan(
      Strategy strategy, Similarity similarity, Map<String, Usage> usage, double averageGroups) {
    return Planner.plan(
        checkpoint, usage, new PlanOptions(strategy, similarity, Budget.UNIFORM, averageGroups));
  }

  /** Expert e is chosen less often than e - 1, always together with expert 0 or 1. */
  private Map<String, Usage> usage(int experts) {
    Map<String, Usage> usage = new HashMap<>();
    for (MoeBlock block : checkpoint.blocks()) {
      var accumulator = Usage.accumulator(experts, 2);
      for (int expert = 1; expert < experts; expert++) {
        for (int time = expert; time < experts; time++) {
          accumulator.add(new int[] {expert, expert == 1 ? 0 : time % 2}, 1);
        }
      }
      usage.put(block.name(), accumulator.build());
    }
    return usage;
  }
}
