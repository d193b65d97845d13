package dev.smelt.agent.merge;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.smelt.agent.Goldens;
import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.plan.LayerPlan;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class BlockAlignerTest {

  private final Checkpoint checkpoint = Checkpoint.open(Goldens.path("mixtral-grouping"));
  private final MoeBlock block = checkpoint.blocks().get(0);
  private final AlignmentCache cache = AlignmentCache.inMemory();
  private final Queue<Integer> progress = new ConcurrentLinkedQueue<>();

  /** Groups {0, 1, 2}, {3, 4, 5, 6} and {7}; expert 6 has no weight. */
  private final LayerPlan plan =
      new LayerPlan(
          block.name(),
          List.of(0, 3, 7),
          List.of(0, 0, 0, 1, 1, 1, 1, 2),
          List.of(0.2, 0.1, 0.1, 0.2, 0.1, 0.1, 0.0, 0.2),
          List.of(0.2, 0.1, 0.1, 0.2, 0.1, 0.1, 0.0, 0.2));

  @AfterEach
  void close() {
    checkpoint.close();
  }

  @Test
  void shouldFindTheSameOrdersAsPairByPair() {
    aligner(Alignment.DOMINANT).align(block, plan, group -> true);

    for (int[] pair : new int[][] {{0, 1}, {0, 2}, {3, 4}, {3, 5}}) {
      int[] alone =
          new Aligner(Compute.cpu())
              .permutation(
                  ExpertWeights.read(checkpoint, block, pair[0]),
                  ExpertWeights.read(checkpoint, block, pair[1]));
      assertThat(cache.find(pair(pair[0], pair[1])))
          .hasValueSatisfying(found -> assertThat(found).isEqualTo(alone));
    }
    assertThat(progress).containsExactlyInAnyOrder(1, 2, 3, 4);
  }

  @Test
  void shouldLeaveOutWhatIsNotMerged() {
    aligner(Alignment.DOMINANT).align(block, plan, group -> group == 1);

    assertThat(cache.find(pair(0, 1))).isEmpty();
    assertThat(cache.find(pair(3, 6))).isEmpty();
    assertThat(cache.find(pair(3, 4))).isPresent();
  }

  @Test
  void shouldAlignOnlyPairsThatAreNotKnown() {
    NeuronOrders first = aligner(Alignment.EXPERT_0).align(block, plan, group -> true);
    progress.clear();

    NeuronOrders second = aligner(Alignment.EXPERT_0).align(block, plan, group -> true);

    assertThat(progress).isEmpty();
    assertThat(second.byMember()).containsOnlyKeys(1, 2, 3, 4, 5);
    second
        .byMember()
        .forEach((member, order) -> assertThat(order).isEqualTo(first.byMember().get(member)));
  }

  @Test
  void shouldStopWhenInterrupted() {
    Thread.currentThread().interrupt();

    try {
      assertThatThrownBy(() -> aligner(Alignment.DOMINANT).align(block, plan, group -> true))
          .isInstanceOf(CancellationException.class);
    } finally {
      assertThat(Thread.interrupted()).isTrue();
    }
    assertThat(cache.find(pair(3, 5))).isEmpty();
  }

  private BlockAligner aligner(Alignment alignment) {
    return new BlockAligner(
        checkpoint, alignment, cache, Compute.cpu(), (name, done, all) -> progress.add(done));
  }

  private AlignmentCache.Pair pair(int reference, int member) {
    return new AlignmentCache.Pair(block.name(), reference, member);
  }
}
