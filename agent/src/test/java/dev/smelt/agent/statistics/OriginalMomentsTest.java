package dev.smelt.agent.statistics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.inference.ForwardObserver;
import dev.smelt.agent.inference.MoeModel;
import dev.smelt.agent.inference.Routing;
import dev.smelt.agent.inference.TinyCheckpoint;
import dev.smelt.store.checkpoint.Checkpoint;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class OriginalMomentsTest {

  @TempDir Path folder;

  @Test
  void shouldCalculateWhatTheOriginalExpertsShowWhenTheyRunThemselves() {
    Path model = new TinyCheckpoint(1).write(folder.resolve("model"));
    int[] tokens = IntStream.range(0, 60).map(i -> i * 37 % 256).toArray();
    try (Checkpoint checkpoint = Checkpoint.open(model)) {
      MoeModel full = MoeModel.load(checkpoint);
      MomentsRecording shown = new MomentsRecording(Compute.cpu(), checkpoint.blocks());
      full.logits(List.of(tokens), shown);
      OriginalMoments moments = new OriginalMoments(Compute.cpu(), checkpoint);

      full.logits(
          List.of(tokens),
          new ForwardObserver() {
            @Override
            public void routed(Routing routing) {
              moments.add(routing.layer(), routing.inputs(), routing.selected(), routing.weights());
            }
          });

      List<BlockMoments> calculated = moments.take();
      assertThat(calculated).hasSize(TinyCheckpoint.LAYERS);
      for (BlockMoments block : calculated) {
        BlockMoments expected =
            shown.moments().stream()
                .filter(of -> of.block().equals(block.block()))
                .findFirst()
                .orElseThrow();
        for (int expert = 0; expert < TinyCheckpoint.EXPERTS; expert++) {
          assertThat(block.experts().get(expert).tokens())
              .isEqualTo(expected.experts().get(expert).tokens());
          float[] values = block.experts().get(expert).activations().values();
          float[] wanted = expected.experts().get(expert).activations().values();
          for (int i = 0; i < values.length; i++) {
            assertThat(values[i]).isCloseTo(wanted[i], within(1e-4f * (1 + Math.abs(wanted[i]))));
          }
        }
      }
      assertThat(moments.take()).isEmpty();
    }
  }
}
