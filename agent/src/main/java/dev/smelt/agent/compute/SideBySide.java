package dev.smelt.agent.compute;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Function;

/**
 * Independent work on all processors, one piece on each. Where a piece splits its own work, as
 * {@link Compute} splits large products, processors without a piece of their own help.
 */
public final class SideBySide {

  private SideBySide() {}

  /**
   * Failure semantics: no piece is begun any more, and those that were have ended when this throws.
   *
   * @param most how many pieces may be under way or done and waiting for an earlier one, at least 1
   * @param work called by several threads at once
   * @return the results in the order of the items
   * @throws CancellationException when the thread is interrupted; the interrupt stays set
   * @throws RuntimeException of the first item, in their order, whose work throws
   */
  public static <S, T> List<T> map(int most, List<S> items, Function<S, T> work) {
    List<T> results = new ArrayList<>();
    Deque<CompletableFuture<T>> begun = new ArrayDeque<>();
    AtomicBoolean failed = new AtomicBoolean();
    ForkJoinPool workers = new ForkJoinPool(Runtime.getRuntime().availableProcessors());
    try {
      for (S item : items) {
        if (begun.size() == most) {
          results.add(begun.element().get());
          begun.remove();
        }
        if (Thread.interrupted()) {
          throw new InterruptedException();
        }
        begun.add(
            CompletableFuture.supplyAsync(
                () -> {
                  if (failed.get()) {
                    throw new CancellationException();
                  }
                  return work.apply(item);
                },
                workers));
      }
      while (!begun.isEmpty()) {
        results.add(begun.element().get());
        begun.remove();
      }
      return results;
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      throw new CancellationException("the work was cancelled");
    } catch (ExecutionException thrown) {
      throw thrown.getCause() instanceof RuntimeException cause
          ? cause
          : new IllegalStateException(thrown.getCause());
    } finally {
      failed.set(true);
      begun.forEach(piece -> piece.handle((result, failure) -> null).join());
      workers.shutdown();
    }
  }
}
