package dev.smelt.agent.control;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.smelt.agent.compress.Compressor;
import dev.smelt.agent.compress.MemoryTensors;
import dev.smelt.agent.compress.Recipe;
import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.inference.ExpertBatch;
import dev.smelt.agent.inference.ForwardObserver;
import dev.smelt.agent.inference.MoeModel;
import dev.smelt.agent.inference.Routing;
import dev.smelt.agent.inference.TinyCheckpoint;
import dev.smelt.agent.merge.Alignment;
import dev.smelt.agent.merge.AlignmentCache;
import dev.smelt.agent.plan.Budget;
import dev.smelt.agent.plan.Similarity;
import dev.smelt.agent.plan.Strategy;
import dev.smelt.agent.statistics.BlockMoments;
import dev.smelt.agent.statistics.MomentsRecording;
import dev.smelt.agent.statistics.TrafficStatistics;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.CompactExperts;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import dev.smelt.streams.usage.Accumulator;
import dev.smelt.streams.usage.Usage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class OutputLossTest {

  private static final List<int[]> TRAFFIC =
      List.of(IntStream.range(0, 200).map(i -> i * i * 37 % 251).toArray());

  @TempDir Path folder;

  private Checkpoint checkpoint;
  private MoeModel full;
  private Function<MoeBlock, BlockMoments> moments;
  private Map<String, Usage> usage;
  private OutputLoss loss;

  @BeforeEach
  void record() {
    checkpoint = Checkpoint.open(new TinyCheckpoint(1).write(folder.resolve("model")));
    full = MoeModel.load(checkpoint);
    MomentsRecording recording = new MomentsRecording(Compute.cpu(), checkpoint.blocks());
    full.logits(TRAFFIC, recording);
    Map<String, BlockMoments> byName = new HashMap<>();
    recording.moments().forEach(block -> byName.put(block.block(), block));
    moments = block -> byName.get(block.name());
    usage = usage();
    loss = new OutputLoss(Compute.cpu(), checkpoint);
  }

  @AfterEach
  void close() {
    checkpoint.close();
  }

  @Test
  void shouldLoseNothingWhereEveryNeuronIsKept() throws IOException {
    assertThat(loss.of(compressed(Strategy.SMELT, 1), moments).orElseThrow())
        .isCloseTo(0, within(1e-5));
  }

  @Test
  void shouldTellTheErrorThatTheTrafficItselfShows() throws IOException {
    MemoryTensors narrowed = compressed(Strategy.SMELT, 0.5);

    assertThat(loss.of(narrowed, moments).orElseThrow())
        .isPositive()
        .isCloseTo(shown(narrowed), within(1e-3));
  }

  @Test
  void shouldLoseMoreWithLessMemory() throws IOException {
    assertThat(loss.of(compressed(Strategy.SMELT, 0.3), moments).orElseThrow())
        .isGreaterThan(loss.of(compressed(Strategy.SMELT, 0.7), moments).orElseThrow());
  }

  @Test
  void shouldSayNothingOfMergedExperts() throws IOException {
    assertThat(loss.of(compressed(Strategy.M_SMOE, 0.5), moments)).isEmpty();
  }

  @Test
  void shouldSayNothingOfFactoredExperts() throws IOException {
    assertThat(loss.of(compressed(Strategy.MC_SMOE, 0.9), moments)).isEmpty();
  }

  private MemoryTensors compressed(Strategy strategy, double share) throws IOException {
    Recipe recipe =
        Recipe.forBytes(
            checkpoint,
            new TrafficStatistics(usage, Optional.of(moments)),
            new Recipe.Choices(
                strategy, Similarity.CO_ACTIVATION, Budget.EXACT, Alignment.DOMINANT),
            AlignmentCache.beside(checkpoint),
            (long) (share * Recipe.expertBytes(checkpoint)));
    MemoryTensors experts = new MemoryTensors();
    new Compressor(Compute.cpu())
        .compress(checkpoint, recipe.plan(), recipe.options(), experts, (block, done, all) -> {});
    return experts;
  }

  private Map<String, Usage> usage() {
    Map<Integer, Accumulator> counted = new HashMap<>();
    full.logits(
        TRAFFIC,
        new ForwardObserver() {
          @Override
          public void routed(Routing routing) {
            counted
                .computeIfAbsent(
                    routing.layer(), first -> Usage.accumulator(TinyCheckpoint.EXPERTS, 2))
                .add(routing.selected(), routing.tokens());
          }
        });
    Map<String, Usage> usage = new HashMap<>();
    counted.forEach((layer, of) -> usage.put(checkpoint.blocks().get(layer).name(), of.build()));
    return usage;
  }

  /** The mean over blocks of the lost share of the output energy, from the outputs themselves. */
  private double shown(MemoryTensors narrowed) {
    CompactExperts experts = new CompactExperts(narrowed);
    double[] lost = new double[TinyCheckpoint.LAYERS];
    double[] all = new double[TinyCheckpoint.LAYERS];
    full.logits(
        TRAFFIC,
        new ForwardObserver() {
          @Override
          public void calculated(ExpertBatch batch) {
            MoeBlock block = checkpoint.blocks().get(batch.layer());
            int group = experts.map(block)[batch.expert()];
            for (int i = 0; i < batch.count(); i++) {
              double gate = batch.gates()[i];
              double[] output = output(experts, block, group, batch.inputs(), i);
              for (int j = 0; j < output.length; j++) {
                double own = batch.outputs()[i * output.length + j];
                lost[batch.layer()] += gate * gate * (own - output[j]) * (own - output[j]);
                all[batch.layer()] += gate * gate * own * own;
              }
            }
          }
        });
    return IntStream.range(0, lost.length)
        .mapToDouble(i -> lost[i] / all[i])
        .average()
        .orElseThrow();
  }

  private static double[] output(
      CompactExperts experts, MoeBlock block, int group, float[] inputs, int row) {
    float[] gates = experts.weight(block, group, Role.GATE);
    float[] ups = experts.weight(block, group, Role.UP);
    float[] downs = experts.weight(block, group, Role.DOWN);
    double[] output = new double[block.hidden()];
    for (int neuron = 0; neuron < block.width(); neuron++) {
      double gate = dot(gates, neuron * block.hidden(), inputs, row * block.hidden(), block);
      double up = dot(ups, neuron * block.hidden(), inputs, row * block.hidden(), block);
      double hidden = gate / (1 + Math.exp(-gate)) * up;
      for (int j = 0; j < output.length; j++) {
        output[j] += downs[j * block.width() + neuron] * hidden;
      }
    }
    return output;
  }

  private static double dot(float[] first, int from, float[] second, int at, MoeBlock block) {
    double sum = 0;
    for (int i = 0; i < block.hidden(); i++) {
      sum += first[from + i] * second[at + i];
    }
    return sum;
  }
}
