package dev.smelt.agent.statistics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.smelt.agent.Goldens;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.safetensors.DType;
import dev.smelt.store.safetensors.SafetensorsWriter;
import dev.smelt.store.safetensors.Tensor;
import dev.smelt.streams.usage.Usage;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RoutingTraceTest {

  @TempDir private Path folder;

  private final Checkpoint checkpoint = Checkpoint.open(Goldens.path("mixtral-grouping"));
  private final MoeBlock block = checkpoint.blocks().get(0);

  @AfterEach
  void close() {
    checkpoint.close();
  }

  @Test
  void shouldAddUpSeveralFilesAndSkipPadding() {
    Path file = write(ids(2, 0, 3, 7, -1, -1, -1));

    Usage usage = read(file, file);

    assertThat(usage.counts()).containsExactly(2, 0, 0, 2, 0, 0, 0, 2);
    assertThat(usage.tokens()).isEqualTo(4);
    assertThat(usage.logitGram()).isEmpty();
  }

  @Test
  void shouldReadWhatElseIsThere() {
    Path file =
        write(
            ids(2, 0, 3),
            floats(".routing_weights", 2, 0.75f, 0.25f),
            floats(".output_norms", 2, 3f, 4f),
            floats(".router_logits", 8, 1, 2, 3, 4, 5, 6, 7, 8));

    Usage usage = read(file);

    assertThat(usage.gateMass().orElseThrow()[0]).isEqualTo(0.75);
    assertThat(usage.outputNorm().orElseThrow()[3]).isEqualTo(4);
    assertThat(usage.logitGram().orElseThrow()[9]).isEqualTo(4);
  }

  @Test
  void shouldNameATraceWithoutTheBlock() {
    Path file = write();

    assertThatThrownBy(() -> read(file))
        .isInstanceOf(StatisticsException.class)
        .hasMessage(
            file
                + ": has no model.layers.0.block_sparse_moe.selected_experts; is it a trace of"
                + " another model?");
  }

  @Test
  void shouldNameATraceOfAnotherTopK() {
    Path file = write(ids(3, 0, 1, 2));

    assertThatThrownBy(() -> read(file))
        .isInstanceOf(StatisticsException.class)
        .hasMessageContaining("needs [tokens, 2]");
  }

  @Test
  void shouldNameAnExpertThatDoesNotExist() {
    Path file = write(ids(2, 0, 8));

    assertThatThrownBy(() -> read(file))
        .isInstanceOf(StatisticsException.class)
        .hasMessageStartingWith(file.toString());
  }

  @ParameterizedTest
  @ValueSource(floats = {Float.NaN, Float.NEGATIVE_INFINITY})
  void shouldNameABlockWhoseLogitsAreNotFinite(float logit) {
    Path file = write(ids(2, 0, 3), floats(".router_logits", 8, 1, 2, 3, 4, logit, 6, 7, 8));

    assertThatThrownBy(() -> read(file))
        .isInstanceOf(StatisticsException.class)
        .hasMessageStartingWith(file + ": " + block.name())
        .hasMessageContaining("router logits or output norms is not finite");
  }

  @Test
  void shouldNameWeightsOfOtherTokens() {
    Path file = write(ids(2, 0, 1), floats(".routing_weights", 2, 1f, 0f, 1f, 0f));

    assertThatThrownBy(() -> read(file))
        .isInstanceOf(StatisticsException.class)
        .hasMessageContaining("where 1 tokens were routed");
  }

  private Usage read(Path... files) {
    return RoutingTrace.read(List.of(block), List.of(files)).get(block.name());
  }

  private Path write(Tensor... tensors) {
    Path file = folder.resolve("t.routing.safetensors");
    SafetensorsWriter.write(file, Map.of("requests", "1"), new ArrayList<>(List.of(tensors)));
    return file;
  }

  private Tensor ids(int columns, int... values) {
    return Tensor.ints(
        block.name() + ".selected_experts",
        List.of((long) values.length / columns, (long) columns),
        values);
  }

  private Tensor floats(String suffix, int columns, float... values) {
    return Tensor.floats(
        block.name() + suffix,
        DType.F32,
        List.of((long) values.length / columns, (long) columns),
        values);
  }
}
