package dev.smelt.agent.compress;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.smelt.agent.Goldens;
import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.merge.Alignment;
import dev.smelt.agent.merge.AlignmentCache;
import dev.smelt.agent.plan.Budget;
import dev.smelt.agent.plan.PlanOptions;
import dev.smelt.agent.plan.Planner;
import dev.smelt.agent.plan.Similarity;
import dev.smelt.agent.plan.Strategy;
import dev.smelt.agent.statistics.RoutingTrace;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.safetensors.Tensor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LayerFilesTest {

  @TempDir private Path folder;

  private final Checkpoint checkpoint = Checkpoint.open(Goldens.path("mixtral-grouping"));

  @AfterEach
  void close() {
    checkpoint.close();
  }

  @Test
  void shouldGoOnWhereItWasCutOff() throws IOException {
    Path working = folder.resolve("out.partial");
    // Given
    try (LayerFiles layers = LayerFiles.open(working, "a")) {
      assertThatThrownBy(() -> compress(failingAfter(2, layers)))
          .isInstanceOf(IOException.class)
          .hasMessage("no space");
    }

    // When
    List<String> made = new ArrayList<>();
    try (LayerFiles layers = LayerFiles.open(working, "a")) {
      compress(
          new CompactSink() {
            @Override
            public void accept(MoeBlock block, List<Tensor> tensors) {
              made.add(block.name());
              layers.accept(block, tensors);
            }

            @Override
            public boolean holds(MoeBlock block) {
              return layers.holds(block);
            }
          });

      // Then
      assertThat(made)
          .containsExactly("model.layers.2.block_sparse_moe", "model.layers.3.block_sparse_moe");
      MemoryTensors whole = new MemoryTensors();
      compress(whole);
      assertThat(layers.tensors().keySet())
          .containsExactlyInAnyOrderElementsOf(whole.tensors().keySet());
      for (String tensor : whole.tensors().keySet()) {
        assertThat(layers.bytes(tensor, 0, (int) layers.tensors().get(tensor).bytes()))
            .isEqualTo(whole.bytes(tensor, 0, (int) whole.tensors().get(tensor).bytes()));
      }
      layers.remove();
    }
    assertThat(working).doesNotExist();
  }

  @Test
  void shouldNotMixTwoCompressions() throws IOException {
    try (LayerFiles layers = LayerFiles.open(folder.resolve("x"), "a")) {
      compress(layers);
    }

    try (LayerFiles layers = LayerFiles.open(folder.resolve("x"), "b")) {
      assertThat(layers.tensors()).isEmpty();
    }
  }

  private static CompactSink failingAfter(int blocks, LayerFiles layers) {
    List<String> taken = new ArrayList<>();
    return (block, tensors) -> {
      if (taken.size() == blocks) {
        throw new IOException("no space");
      }
      taken.add(block.name());
      layers.accept(block, tensors);
    };
  }

  private void compress(CompactSink sink) throws IOException {
    new Compressor(Compute.cpu())
        .compress(
            checkpoint,
            Planner.plan(
                checkpoint,
                RoutingTrace.read(
                    checkpoint.blocks(),
                    List.of(Goldens.path("mixtral-grouping/routing.safetensors"))),
                new PlanOptions(Strategy.M_SMOE, Similarity.ROUTER_LOGITS, Budget.EXACT, 4)),
            new CompressOptions(Alignment.NONE, AlignmentCache.inMemory(), new Whole()),
            sink,
            Progress.none());
  }
}
