package dev.smelt.agent.statistics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.smelt.agent.Goldens;
import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.safetensors.SafetensorsFile;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MomentsFileTest {

  @TempDir private Path folder;

  private final Random random = new Random(5);
  private final Checkpoint checkpoint = Checkpoint.open(Goldens.path("mixtral-grouping"));
  private final MoeBlock block = checkpoint.blocks().get(1);

  @AfterEach
  void close() {
    checkpoint.close();
  }

  @Test
  void shouldReadTheSumOfWhatItWrote() {
    BlockMoments first = moments(8, block.width());
    BlockMoments second = moments(8, block.width());
    Path one = folder.resolve("1.moments.safetensors");
    Path two = folder.resolve("2.moments.safetensors");
    MomentsFile.write(one, "m", List.of(first));
    MomentsFile.write(two, "m", List.of(second));

    BlockMoments sum = MomentsFile.read(block, List.of(one, two));

    for (int expert = 0; expert < 8; expert++) {
      ExpertMoments of = sum.experts().get(expert);
      assertThat(of.tokens()).isEqualTo(2 * (expert + 1));
      assertThat(of.inputs().orElseThrow().at(2, 3))
          .isEqualTo(
              first.experts().get(expert).inputs().orElseThrow().at(2, 3)
                  + second.experts().get(expert).inputs().orElseThrow().at(2, 3));
      assertThat(of.activations().at(4, 1))
          .isEqualTo(
              first.experts().get(expert).activations().at(4, 1)
                  + second.experts().get(expert).activations().at(4, 1));
    }
  }

  @Test
  void shouldReadBackInputsOfTheWholeLayer() {
    Matrix inputs = matrix(block.hidden(), block.hidden());
    BlockMoments ofLayer =
        new BlockMoments(block.name(), moments(8, block.width()).experts(), Optional.of(inputs));
    BlockMoments ofExperts = moments(8, block.width());
    Path one = folder.resolve("1.moments.safetensors");
    Path two = folder.resolve("2.moments.safetensors");
    MomentsFile.write(one, "m", List.of(ofLayer));
    MomentsFile.write(two, "m", List.of(ofExperts));

    assertThat(MomentsFile.read(block, List.of(one)).experts())
        .allSatisfy(
            of -> assertThat(of.inputs().orElseThrow().at(2, 3)).isEqualTo(inputs.at(2, 3)));
    float sum = inputs.at(2, 3);
    for (ExpertMoments expert : ofExperts.experts()) {
      sum += expert.inputs().orElseThrow().at(2, 3);
    }
    assertThat(MomentsFile.read(block, List.of(one, two)).inputs().orElseThrow().at(2, 3))
        .isCloseTo(sum, Offset.offset(1e-4f));
    try (SafetensorsFile file = SafetensorsFile.open(one)) {
      assertThat(file.tensors().keySet())
          .filteredOn(name -> name.endsWith(".inputs"))
          .containsExactly(block.name() + ".moments.inputs");
    }
  }

  @Test
  void shouldKnowInputsThatOnlyOneOfTwoFilesHasSeen() {
    BlockMoments all = moments(8, block.width());
    List<ExpertMoments> without = new ArrayList<>(all.experts());
    without.set(2, ExpertMoments.zero(block.hidden(), block.width()));
    Path one = folder.resolve("1.moments.safetensors");
    Path two = folder.resolve("2.moments.safetensors");
    MomentsFile.write(one, "m", List.of(all));
    MomentsFile.write(two, "m", List.of(new BlockMoments(block.name(), without)));

    for (List<Path> files : List.of(List.of(one, two), List.of(two, one))) {
      assertThat(MomentsFile.read(block, files).experts().get(2).inputs().orElseThrow().at(2, 3))
          .isEqualTo(all.experts().get(2).inputs().orElseThrow().at(2, 3));
    }
    assertThat(
            MomentsFile.read(block, List.of(two)).experts().get(2).inputs().orElseThrow().values())
        .containsOnly(0f);
  }

  @Test
  void shouldKnowInputsOfAnExpertWhoseBlockAnotherFileHasNoTokensOf() {
    BlockMoments all = moments(8, block.width());
    Path one = folder.resolve("1.moments.safetensors");
    Path two = folder.resolve("2.moments.safetensors");
    MomentsFile.write(one, "m", List.of(all));
    MomentsFile.write(two, "m", List.of(BlockMoments.zero(block)));

    for (List<Path> files : List.of(List.of(one, two), List.of(two, one))) {
      assertThat(MomentsFile.read(block, files).experts())
          .allSatisfy(expert -> assertThat(expert.inputs()).isPresent());
    }
  }

  @Test
  void shouldReadBackARefit() {
    Path file = folder.resolve("r.moments.safetensors");
    GroupMoments group =
        new GroupMoments(
            9, matrix(block.width(), block.width()), matrix(block.hidden(), block.width()));
    GroupMoments none = GroupMoments.zero(block.hidden(), block.width());
    MomentsFile.writeRefit(
        file, "m", "plan 1", List.of(new BlockRefit(block.name(), List.of(none, group))));

    BlockRefit read = MomentsFile.readRefit(block, List.of(file, file), "plan 1");

    assertThat(read.groups()).hasSize(2);
    assertThat(read.groups().get(0).tokens()).isZero();
    assertThat(read.groups().get(1).tokens()).isEqualTo(18);
    assertThat(read.groups().get(1).outputs().at(1, 2)).isEqualTo(2 * group.outputs().at(1, 2));
  }

  @Test
  void shouldReadARefitThatIsSpreadOverFiles() {
    MoeBlock other = checkpoint.blocks().get(0);
    Path first = folder.resolve("0.refit.safetensors");
    Path second = folder.resolve("1.refit.safetensors");
    MomentsFile.writeRefit(first, "m", "plan 1", List.of(refit(other, 3)));
    MomentsFile.writeRefit(second, "m", "plan 1", List.of(refit(block, 9)));

    BlockRefit read = MomentsFile.readRefit(block, List.of(first, second), "plan 1");

    assertThat(read.groups().get(0).tokens()).isEqualTo(9);
    assertThatThrownBy(() -> MomentsFile.readRefit(block, List.of(first), "plan 1"))
        .isInstanceOf(StatisticsException.class)
        .hasMessage(
            "%s: has no %s.refit.tokens; record it for these groups first", first, block.name());
  }

  private BlockRefit refit(MoeBlock of, int tokens) {
    return new BlockRefit(
        of.name(),
        List.of(
            new GroupMoments(
                tokens, matrix(of.width(), of.width()), matrix(of.hidden(), of.width()))));
  }

  @Test
  void shouldNotRefitToOtherGroups() {
    Path file = folder.resolve("r.refit.safetensors");
    MomentsFile.writeRefit(file, "m", "plan 1", List.of());

    assertThatThrownBy(() -> MomentsFile.readRefit(block, List.of(file), "plan 2"))
        .isInstanceOf(StatisticsException.class)
        .hasMessageContaining(file + ": is not of these merged experts")
        .hasMessageContaining("smelt trace --plan");
  }

  @Test
  void shouldNameAFileOfAnotherModel() {
    Path file = folder.resolve("x.moments.safetensors");
    MomentsFile.write(file, "m", List.of());

    assertThatThrownBy(() -> MomentsFile.read(block, List.of(file)))
        .isInstanceOf(StatisticsException.class)
        .hasMessageContaining(file.toString())
        .hasMessageContaining("of another model?");
  }

  @Test
  void shouldNameMomentsOfAnotherShape() {
    Path file = folder.resolve("x.moments.safetensors");
    MomentsFile.write(file, "m", List.of(moments(8, block.width() + 1)));

    assertThatThrownBy(() -> MomentsFile.read(block, List.of(file)))
        .isInstanceOf(StatisticsException.class)
        .hasMessageContaining("must be there and have shape [24, 24]");
  }

  @Test
  void shouldNameMomentsThatAreNotFinite() {
    Path file = folder.resolve("x.moments.safetensors");
    BlockMoments moments = moments(8, block.width());
    moments.experts().get(3).activations().set(0, 0, Float.NaN);
    MomentsFile.write(file, "m", List.of(moments));

    assertThatThrownBy(() -> MomentsFile.read(block, List.of(file)))
        .isInstanceOf(StatisticsException.class)
        .hasMessageContaining(".moments.3.activations holds NaN");
  }

  @Test
  void shouldRefuseMomentsOfFewTokens() {
    Path file = folder.resolve("x.moments.safetensors");
    MomentsFile.write(file, "m", List.of(moments(8, block.width())));
    List<Path> routing = List.of(Goldens.path("mixtral-grouping/routing.safetensors"));

    var once = TrafficStatistics.read(checkpoint.blocks(), routing, List.of(file));
    var twice = TrafficStatistics.read(checkpoint.blocks(), routing, List.of(file, file));

    assertThatThrownBy(() -> once.moments().orElseThrow().apply(block))
        .isInstanceOf(StatisticsException.class)
        .hasMessage(
            "%s: moments of %s are of 18 tokens, at least 32 are needed; record more traffic",
            file, block.name());
    assertThat(twice.moments().orElseThrow().apply(block).picks()).isEqualTo(72);
  }

  @Test
  void shouldNotAddMomentsOfDifferentBlocks() {
    BlockMoments moments = moments(8, 4);

    assertThatThrownBy(() -> moments.plus(moments(7, 4)))
        .isInstanceOf(StatisticsException.class)
        .hasMessageContaining("7 experts");
  }

  private BlockMoments moments(int experts, int width) {
    return new BlockMoments(
        block.name(),
        IntStream.range(0, experts)
            .mapToObj(
                expert ->
                    new ExpertMoments(
                        expert + 1,
                        Optional.of(matrix(block.hidden(), block.hidden())),
                        gram(width)))
            .toList());
  }

  private Matrix gram(int width) {
    Matrix gram = Matrix.zeros(width, width);
    Compute.cpu().addGram(1f, matrix(3, width), gram);
    return gram;
  }

  private Matrix matrix(int rows, int cols) {
    Matrix matrix = Matrix.zeros(rows, cols);
    for (int i = 0; i < matrix.values().length; i++) {
      matrix.values()[i] = (float) random.nextGaussian();
    }
    return matrix;
  }
}
