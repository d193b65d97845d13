package dev.smelt.agent.merge;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.smelt.agent.Goldens;
import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.compute.Transpose;
import dev.smelt.agent.plan.LayerPlan;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import dev.smelt.store.safetensors.Floats;
import dev.smelt.store.safetensors.SafetensorsFile;
import dev.smelt.store.safetensors.SafetensorsWriter;
import dev.smelt.store.safetensors.Tensor;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GroupMergerTest {

  private static final Compute COMPUTE = Compute.cpu();

  @TempDir private Path folder;

  private final Checkpoint checkpoint = Checkpoint.open(Goldens.path("mixtral-grouping"));
  private final MoeBlock block = checkpoint.blocks().get(0);

  @AfterEach
  void close() {
    checkpoint.close();
  }

  @Test
  void shouldNotChangeOutputsByAligning() {
    ExpertWeights reference = ExpertWeights.read(checkpoint, block, 0);
    ExpertWeights expert = ExpertWeights.read(checkpoint, block, 1);
    Matrix inputs = random(32, block.hidden());

    ExpertWeights aligned = expert.permuted(new Aligner(COMPUTE).permutation(reference, expert));

    assertThat(outputs(aligned, inputs).values())
        .containsExactly(outputs(expert, inputs).values(), Offset.offset(1e-5f));
  }

  @Test
  void shouldFindTheOrderThatNeuronsWereShuffledTo() {
    ExpertWeights expert = ExpertWeights.read(checkpoint, block, 3);
    List<Integer> shuffled = new ArrayList<>(IntStream.range(0, block.width()).boxed().toList());
    Collections.shuffle(shuffled, new Random(1));
    int[] order = shuffled.stream().mapToInt(Integer::intValue).toArray();

    int[] back = new Aligner(COMPUTE).permutation(expert, expert.permuted(order));

    assertThat(expert.permuted(order).permuted(back).matrix(Role.DOWN).values())
        .isEqualTo(expert.matrix(Role.DOWN).values());
  }

  @Test
  void shouldLeaveAGroupOfOneUnchanged() {
    ExpertWeights merged =
        merge(checkpoint, plan(List.of(0, 1, 1, 1, 1, 1, 1, 1), 0.125), 0, Alignment.DOMINANT)
            .weights();

    assertThat(merged.matrix(Role.UP).values()).isEqualTo(checkpoint.expert(block, 0, Role.UP));
  }

  @Test
  void shouldLetTheDominantExpertStandForAGroupThatWasNeverUsed() {
    ExpertWeights merged =
        merge(checkpoint, plan(List.of(0, 0, 0, 1, 1, 1, 1, 1), 0), 1, Alignment.DOMINANT)
            .weights();

    assertThat(merged.matrix(Role.UP).values()).isEqualTo(checkpoint.expert(block, 3, Role.UP));
  }

  @Test
  void shouldStoreTheAverageOfReorderedMembers() {
    LayerPlan plan = plan(List.of(0, 0, 0, 1, 1, 1, 1, 1), 0.125);
    WeightedMerge expected = new WeightedMerge();
    ExpertWeights reference = ExpertWeights.read(checkpoint, block, 0);
    for (int member = 0; member < 3; member++) {
      ExpertWeights expert = ExpertWeights.read(checkpoint, block, member);
      expected.add(expert, 0.125, new Aligner(COMPUTE).permutation(reference, expert));
    }

    MergedExpert merged = merge(checkpoint, plan, 0, Alignment.DOMINANT);

    for (Role role : block.roles()) {
      float[] average = expected.result().matrix(role).values();
      float[] stored = new float[average.length];
      Floats.decode(
          ByteBuffer.wrap(merged.stored(role)).order(ByteOrder.LITTLE_ENDIAN),
          checkpoint.expertDType(block, role),
          stored,
          0,
          stored.length);
      assertThat(merged.weights().matrix(role).values())
          .containsExactly(average, Offset.offset(1e-6f));
      assertThat(stored).containsExactly(average, Offset.offset(1e-2f));
    }
  }

  @Test
  void shouldNameTheExpertWhoseWeightIsInfiniteWhenItIsStored() throws IOException {
    Path damaged =
        damaged("model.layers.0.block_sparse_moe.experts.3.w2.weight", Float.NEGATIVE_INFINITY);
    try (Checkpoint broken = Checkpoint.open(damaged)) {
      MergedExpert alone =
          merge(broken, plan(List.of(0, 1, 2, 3, 4, 5, 6, 7), 1), 3, Alignment.NONE);
      assertThatThrownBy(() -> alone.stored(Role.DOWN))
          .isInstanceOf(MergeException.class)
          .hasMessageContaining("DOWN of expert 3 holds -Infinity");
    }
  }

  @Test
  void shouldNameTheExpertWhoseWeightIsNotFinite() throws IOException {
    Path damaged = damaged("model.layers.0.block_sparse_moe.experts.2.w3.weight", Float.NaN);
    try (Checkpoint broken = Checkpoint.open(damaged)) {
      assertThatThrownBy(
              () ->
                  merge(broken, plan(List.of(0, 0, 0, 0, 0, 0, 0, 0), 0.125), 0, Alignment.NONE)
                      .weights())
          .isInstanceOf(MergeException.class)
          .hasMessageContaining("model.layers.0.block_sparse_moe: UP of expert 2 holds NaN");
    }
  }

  private MergedExpert merge(Checkpoint from, LayerPlan plan, int group, Alignment alignment) {
    NeuronOrders orders =
        new BlockAligner(
                from, alignment, AlignmentCache.inMemory(), COMPUTE, AlignmentProgress.none())
            .align(block, plan, wanted -> wanted == group);
    return new GroupMerger(from).merge(block, plan, group, orders);
  }

  /** The first expert of each group is dominant. */
  private LayerPlan plan(List<Integer> labels, double weight) {
    List<Integer> dominant = labels.stream().distinct().sorted().map(labels::indexOf).toList();
    List<Double> weights = Collections.nCopies(labels.size(), weight);
    return new LayerPlan(block.name(), dominant, labels, weights, weights);
  }

  private Path damaged(String name, float value) throws IOException {
    Path source = checkpoint.directory();
    Files.copy(source.resolve("config.json"), folder.resolve("config.json"));
    try (SafetensorsFile file = SafetensorsFile.open(source.resolve("model.safetensors"))) {
      List<Tensor> tensors = new ArrayList<>();
      for (String tensor : file.tensors().keySet()) {
        if (tensor.equals(name)) {
          float[] values = file.floats(name);
          values[5] = value;
          tensors.add(
              Tensor.floats(name, file.tensor(name).dtype(), file.tensor(name).shape(), values));
        } else {
          tensors.add(Tensor.of(file, tensor));
        }
      }
      SafetensorsWriter.write(folder.resolve("model.safetensors"), Map.of(), tensors);
    }
    return folder;
  }

  private static Matrix outputs(ExpertWeights expert, Matrix inputs) {
    Matrix gate = COMPUTE.multiply(Transpose.NO, inputs, Transpose.YES, expert.matrix(Role.GATE));
    Matrix up = COMPUTE.multiply(Transpose.NO, inputs, Transpose.YES, expert.matrix(Role.UP));
    for (int i = 0; i < gate.values().length; i++) {
      float x = gate.values()[i];
      gate.values()[i] = (float) (x / (1 + Math.exp(-x)) * up.values()[i]);
    }
    return COMPUTE.multiply(Transpose.NO, gate, Transpose.YES, expert.matrix(Role.DOWN));
  }

  private static Matrix random(int rows, int cols) {
    Random random = new Random(3);
    Matrix matrix = Matrix.zeros(rows, cols);
    for (int i = 0; i < matrix.values().length; i++) {
      matrix.values()[i] = (float) random.nextGaussian();
    }
    return matrix;
  }
}
