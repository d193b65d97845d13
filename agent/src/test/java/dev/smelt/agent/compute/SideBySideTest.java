package dev.smelt.agent.compute;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class SideBySideTest {

  private static final List<Integer> ITEMS = IntStream.range(0, 20).boxed().toList();

  private final AtomicInteger underWay = new AtomicInteger();

  @Test
  void shouldGiveResultsInTheOrderOfTheItems() {
    for (int most : new int[] {1, 3, 100}) {
      assertThat(SideBySide.map(most, ITEMS, item -> 2 * item))
          .containsExactlyElementsOf(ITEMS.stream().map(item -> 2 * item).toList());
    }
  }

  @Test
  void shouldHaveNoMoreUnderWayThanAllowed() {
    List<Integer> seen =
        SideBySide.map(
            1,
            ITEMS,
            item -> {
              int now = underWay.incrementAndGet();
              underWay.decrementAndGet();
              return now;
            });

    assertThat(seen).containsOnly(1);
  }

  @Test
  void shouldThrowWhatTheFirstItemThrows() {
    CountDownLatch later = new CountDownLatch(1);

    assertThatThrownBy(
            () ->
                SideBySide.map(
                    2,
                    List.of(0, 1),
                    item -> {
                      if (item == 1) {
                        later.countDown();
                      } else if (Runtime.getRuntime().availableProcessors() > 1) {
                        await(later);
                      }
                      throw new ArithmeticException("item " + item);
                    }))
        .isInstanceOf(ArithmeticException.class)
        .hasMessage("item 0");
  }

  @Test
  void shouldEndWhatWasBegunWhenInterrupted() {
    Thread caller = Thread.currentThread();
    AtomicInteger begun = new AtomicInteger();

    try {
      assertThatThrownBy(
              () ->
                  SideBySide.map(
                      2,
                      ITEMS,
                      item -> {
                        begun.incrementAndGet();
                        underWay.incrementAndGet();
                        caller.interrupt();
                        Thread.onSpinWait();
                        return underWay.decrementAndGet();
                      }))
          .isInstanceOf(CancellationException.class);
    } finally {
      assertThat(Thread.interrupted()).isTrue();
    }
    assertThat(underWay).hasValue(0);
    assertThat(begun.get()).isLessThan(ITEMS.size());
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException interrupted) {
      throw new IllegalStateException(interrupted);
    }
  }
}
