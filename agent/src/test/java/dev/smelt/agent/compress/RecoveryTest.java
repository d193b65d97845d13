package dev.smelt.agent.compress;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.smelt.agent.Goldens;
import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.inference.ForwardObserver;
import dev.smelt.agent.inference.MoeModel;
import dev.smelt.agent.merge.Alignment;
import dev.smelt.agent.merge.AlignmentCache;
import dev.smelt.agent.plan.Budget;
import dev.smelt.agent.plan.Plan;
import dev.smelt.agent.plan.PlanOptions;
import dev.smelt.agent.plan.Planner;
import dev.smelt.agent.plan.Similarity;
import dev.smelt.agent.plan.Strategy;
import dev.smelt.agent.statistics.BlockMoments;
import dev.smelt.agent.statistics.BlockRefit;
import dev.smelt.agent.statistics.MomentsRecording;
import dev.smelt.agent.statistics.RefitRecording;
import dev.smelt.agent.statistics.RoutingTrace;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.streams.usage.Usage;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CancellationException;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What second moments recover, on a small model with random weights. */
class RecoveryTest {

  private static final Compute COMPUTE = Compute.cpu();

  private static Checkpoint checkpoint;
  private static MoeModel model;
  private static Map<String, Usage> usage;
  private static Map<String, BlockMoments> moments;
  private static List<int[]> observed;
  private static List<int[]> others;

  @BeforeAll
  static void run() {
    checkpoint = Checkpoint.open(Goldens.path("mixtral-grouping"));
    model = MoeModel.load(checkpoint);
    usage =
        RoutingTrace.read(
            checkpoint.blocks(), List.of(Goldens.path("mixtral-grouping/routing.safetensors")));
    observed = sequences(1);
    others = sequences(2);
    MomentsRecording recording = new MomentsRecording(COMPUTE, checkpoint.blocks());
    model.logits(observed, recording);
    moments =
        recording.moments().stream()
            .collect(Collectors.toMap(BlockMoments::block, Function.identity()));
  }

  @AfterAll
  static void close() {
    checkpoint.close();
  }

  @Test
  void shouldChangeNothingWhereEveryNeuronIsKept() throws IOException {
    MemoryTensors experts = compress(smelt(1));

    assertThat(logits(experts).values())
        .containsExactly(model.logits(others, ForwardObserver.NONE).values(), Offset.offset(1e-3f));
  }

  @Test
  void shouldStayWithinTheBudget() throws IOException {
    for (double share : new double[] {0.2, 0.5, 0.8}) {
      long maps = 4 * 8 * 4;

      assertThat(compress(smelt(share)).bytes() - maps)
          .isLessThanOrEqualTo(bytes(share))
          .isGreaterThan(bytes(share) - bytes(0.01));
    }
  }

  @Test
  void shouldLoseLessByNarrowingThanByPruningOrMerging() throws IOException {
    double narrowed = loss(compress(smelt(0.5)));

    assertThat(narrowed)
        .isLessThan(loss(compress(recipe(Strategy.FREQUENCY_PRUNE, 4, new Whole()))))
        .isLessThan(loss(compress(recipe(Strategy.M_SMOE, 4, new Whole()))));
  }

  @Test
  void shouldLoseLessWhenMergedExpertsAreRefitted() throws IOException {
    // Given
    Recipe merging = recipe(Strategy.M_SMOE, 4, new Whole());
    MemoryTensors merged = compress(merging);
    RefitRecording recording = Refitting.recording(COMPUTE, checkpoint, merging);
    model.logits(observed, recording);
    Map<String, BlockRefit> refit =
        recording.moments().stream()
            .collect(Collectors.toMap(BlockRefit::block, Function.identity()));

    // When
    MemoryTensors refitted =
        compress(recipe(Strategy.M_SMOE, 4, new Refitting(block -> refit.get(block.name()))));

    // Then
    assertThat(loss(refitted)).isLessThan(loss(merged));
    assertThat(refitted.bytes()).isEqualTo(merged.bytes());
  }

  @Test
  void shouldKeepTheAverageWhereTooFewTokensAreKnown() throws IOException {
    Recipe merging = recipe(Strategy.M_SMOE, 4, new Whole());
    MemoryTensors merged = compress(merging);
    RefitRecording recording = Refitting.recording(COMPUTE, checkpoint, merging);
    model.logits(List.of(new int[] {1, 2, 3}), recording);
    Map<String, BlockRefit> refit =
        recording.moments().stream()
            .collect(Collectors.toMap(BlockRefit::block, Function.identity()));

    MemoryTensors refitted = compress(merging.reducedBy(new Refitting(b -> refit.get(b.name()))));

    assertThat(refit.values())
        .allSatisfy(block -> assertThat(block.groups()).anyMatch(group -> group.tokens() > 0));
    merged
        .tensors()
        .forEach(
            (name, tensor) ->
                assertThat(refitted.bytes(name, 0, (int) tensor.bytes()))
                    .isEqualTo(merged.bytes(name, 0, (int) tensor.bytes())));
  }

  @Test
  void shouldLoseLessByWhitenedThanByPlainFactors() throws IOException {
    MemoryTensors plain = compress(recipe(Strategy.MC_SMOE, 8, new Factoring(0.375, 0.125)));
    MemoryTensors whitened =
        compress(
            recipe(
                Strategy.MC_SMOE, 8, new WhitenedFactoring(RecoveryTest::momentsOf, bytes(0.5))));

    assertThat(loss(whitened)).isLessThan(loss(plain));
    long maps = 4 * 8 * 4;
    assertThat(whitened.bytes() - maps).isBetween(bytes(0.49), bytes(0.5));
  }

  @Test
  void shouldLoseLessThanByPlainFactorsWhereInputsAreKnownOfTheWholeLayerOnly() throws IOException {
    // Given
    long tooFewBytes = 4L * 4 * 8 * checkpoint.blocks().get(0).hidden();
    MomentsRecording recording = new MomentsRecording(COMPUTE, checkpoint.blocks(), tooFewBytes);
    model.logits(observed, recording);
    Map<String, BlockMoments> ofLayers =
        recording.moments().stream()
            .collect(Collectors.toMap(BlockMoments::block, Function.identity()));
    assertThat(ofLayers.values()).allSatisfy(block -> assertThat(block.inputs()).isPresent());

    // When
    MemoryTensors whitened =
        compress(
            recipe(
                Strategy.MC_SMOE,
                8,
                new WhitenedFactoring(block -> ofLayers.get(block.name()), bytes(0.5))));

    // Then
    MemoryTensors plain = compress(recipe(Strategy.MC_SMOE, 8, new Factoring(0.375, 0.125)));
    assertThat(loss(whitened)).isLessThan(loss(plain));
  }

  @Test
  void shouldTellHowFarItIsInEveryPass() throws IOException {
    Recipe recipe = smelt(0.5);
    List<String> heard = new ArrayList<>();

    new Compressor(COMPUTE)
        .compress(
            checkpoint,
            recipe.plan(),
            recipe.options(),
            new MemoryTensors(),
            new Progress() {
              @Override
              public void measured(String block, int done, int all) {
                heard.add("measured " + done + "/" + all);
              }

              @Override
              public void finished(String block, int done, int all) {
                heard.add("finished " + done + "/" + all);
              }
            });

    assertThat(recipe.options().reduction().passes()).isEqualTo(2);
    assertThat(heard)
        .containsExactly(
            "measured 1/4",
            "measured 2/4",
            "measured 3/4",
            "measured 4/4",
            "finished 1/4",
            "finished 2/4",
            "finished 3/4",
            "finished 4/4");
  }

  @Test
  void shouldMakeTheSameAgain() throws IOException {
    for (Recipe recipe :
        List.of(
            smelt(0.5),
            recipe(Strategy.MC_SMOE, 8, new Factoring(0.375, 0.125)),
            recipe(
                Strategy.MC_SMOE, 8, new WhitenedFactoring(RecoveryTest::momentsOf, bytes(0.5))))) {
      MemoryTensors first = compress(recipe);
      MemoryTensors second = compress(recipe);

      assertThat(second.tensors()).isEqualTo(first.tensors());
      first
          .tensors()
          .forEach(
              (name, tensor) ->
                  assertThat(second.bytes(name, 0, (int) tensor.bytes()))
                      .as(name)
                      .isEqualTo(first.bytes(name, 0, (int) tensor.bytes())));
    }
  }

  @Test
  void shouldRefuseABudgetBelowOneNeuronOfEachExpert() {
    assertThatThrownBy(
            () -> compress(recipe(Strategy.SMELT, 8, new Narrowing(RecoveryTest::momentsOf, 9))))
        .isInstanceOf(CompressionException.class)
        .hasMessageContaining("below the 6144 that one neuron of each expert takes");
  }

  @Test
  void shouldRefuseToNarrowGroupsOfSeveralExperts() {
    assertThatThrownBy(
            () ->
                compress(
                    recipe(Strategy.M_SMOE, 4, new Narrowing(RecoveryTest::momentsOf, bytes(0.5)))))
        .isInstanceOf(CompressionException.class)
        .hasMessageContaining("narrowed one by one");
  }

  @Test
  void shouldRefuseARefitThatWasRecordedForAnotherPlan() throws IOException {
    MemoryTensors merged = compress(recipe(Strategy.M_SMOE, 4, new Whole()));
    RefitRecording recording = new RefitRecording(COMPUTE, checkpoint.blocks(), merged);
    BlockRefit first = recording.moments().get(0);

    assertThatThrownBy(() -> compress(recipe(Strategy.M_SMOE, 8, new Refitting(block -> first))))
        .isInstanceOf(CompressionException.class)
        .hasMessageContaining("record them for this plan");
  }

  @Test
  void shouldRefuseAPlanOfAnotherModel() {
    Recipe recipe = recipe(Strategy.M_SMOE, 4, new Whole());
    Plan shorter =
        new Plan(
            "x",
            "m-smoe",
            recipe.plan().similarity(),
            Budget.EXACT,
            4,
            recipe.plan().layers().subList(0, 2));

    assertThatThrownBy(() -> compress(new Recipe(shorter, recipe.options())))
        .isInstanceOf(CompressionException.class)
        .hasMessageContaining("model.layers.2.block_sparse_moe: the plan says nothing");
  }

  @Test
  void shouldStopWhenInterrupted() {
    Thread.currentThread().interrupt();
    try {
      assertThatThrownBy(() -> compress(recipe(Strategy.M_SMOE, 4, new Whole())))
          .isInstanceOf(CancellationException.class);
    } finally {
      assertThat(Thread.interrupted()).isTrue();
    }
  }

  private static Recipe smelt(double share) {
    return recipe(Strategy.SMELT, 8, new Narrowing(RecoveryTest::momentsOf, bytes(share)));
  }

  private static BlockMoments momentsOf(MoeBlock block) {
    return moments.get(block.name());
  }

  private static Recipe recipe(Strategy strategy, double groups, Reduction reduction) {
    return new Recipe(
        Planner.plan(
            checkpoint,
            usage,
            new PlanOptions(strategy, Similarity.ROUTER_LOGITS, Budget.EXACT, groups)),
        new CompressOptions(Alignment.DOMINANT, AlignmentCache.inMemory(), reduction));
  }

  private static long bytes(double share) {
    return (long) (share * Recipe.expertBytes(checkpoint));
  }

  private static MemoryTensors compress(Recipe recipe) throws IOException {
    MemoryTensors experts = new MemoryTensors();
    new Compressor(COMPUTE)
        .compress(checkpoint, recipe.plan(), recipe.options(), experts, Progress.none());
    return experts;
  }

  private static Matrix logits(MemoryTensors experts) {
    return MoeModel.load(checkpoint, experts).logits(others, ForwardObserver.NONE);
  }

  /** Squared error of the logits on sequences that gave no moments. */
  private static double loss(MemoryTensors experts) {
    float[] full = model.logits(others, ForwardObserver.NONE).values();
    float[] now = logits(experts).values();
    double loss = 0;
    for (int i = 0; i < full.length; i++) {
      loss += (double) (full[i] - now[i]) * (full[i] - now[i]);
    }
    return loss;
  }

  private static List<int[]> sequences(long seed) {
    Random random = new Random(seed);
    List<int[]> sequences = new ArrayList<>();
    for (int i = 0; i < 16; i++) {
      sequences.add(random.ints(128, 0, 64).toArray());
    }
    return sequences;
  }
}
