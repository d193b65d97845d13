package dev.smelt.agent.merge;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.plan.LayerPlan;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntPredicate;

/**
 * Finds the alignments that a block's groups need: those that are known in the cache, all others
 * one pair of experts per processor at a time.
 */
public final class BlockAligner {

  private final Checkpoint checkpoint;
  private final Alignment alignment;
  private final AlignmentCache cache;
  private final Aligner aligner;
  private final AlignmentProgress progress;

  public BlockAligner(
      Checkpoint checkpoint,
      Alignment alignment,
      AlignmentCache cache,
      Compute compute,
      AlignmentProgress progress) {
    this.checkpoint = checkpoint;
    this.alignment = alignment;
    this.cache = cache;
    this.aligner = new Aligner(compute);
    this.progress = progress;
  }

  /**
   * Aligns the members of a block's groups to their reference experts.
   *
   * <p>Failure semantics: pairs that were aligned stay in the cache, so that a second call goes on
   * where the first one stopped.
   *
   * @param wanted which groups will be merged
   * @return the order of the neurons of every member that is reordered
   * @throws MergeException if a weight of the checkpoint is NaN or infinite
   * @throws CancellationException when the thread is interrupted; the interrupt stays set
   */
  public NeuronOrders align(MoeBlock block, LayerPlan plan, IntPredicate wanted) {
    Map<Integer, int[]> orders = new ConcurrentHashMap<>();
    List<AlignmentCache.Pair> unknown = new ArrayList<>();
    for (AlignmentCache.Pair pair : pairs(block, plan, wanted)) {
      cache
          .find(pair)
          .filter(order -> order.length == block.width())
          .ifPresentOrElse(order -> orders.put(pair.member(), order), () -> unknown.add(pair));
    }
    if (!unknown.isEmpty()) {
      alignAll(block, unknown, orders);
    }
    return new NeuronOrders(orders);
  }

  private void alignAll(
      MoeBlock block, List<AlignmentCache.Pair> unknown, Map<Integer, int[]> orders) {
    if (Thread.currentThread().isInterrupted()) {
      throw cancelled();
    }
    AtomicInteger done = new AtomicInteger();
    List<Callable<Void>> tasks = new ArrayList<>();
    for (AlignmentCache.Pair pair : unknown) {
      tasks.add(
          () -> {
            orders.put(pair.member(), align(block, pair));
            progress.aligned(block.name(), done.incrementAndGet(), unknown.size());
            return null;
          });
    }
    ExecutorService workers =
        Executors.newFixedThreadPool(
            Math.min(tasks.size(), Runtime.getRuntime().availableProcessors()));
    try {
      for (Future<Void> result : workers.invokeAll(tasks)) {
        result.get();
      }
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      throw cancelled();
    } catch (ExecutionException failed) {
      throw failed.getCause() instanceof RuntimeException cause
          ? cause
          : new IllegalStateException(failed.getCause());
    } finally {
      workers.shutdownNow();
    }
  }

  private static CancellationException cancelled() {
    return new CancellationException("the alignment was cancelled");
  }

  private Set<AlignmentCache.Pair> pairs(MoeBlock block, LayerPlan plan, IntPredicate wanted) {
    Set<AlignmentCache.Pair> pairs = new LinkedHashSet<>();
    for (int group = 0; group < plan.groups(); group++) {
      List<Integer> members = plan.members(group);
      OptionalInt reference = alignment.reference(plan.dominant().get(group));
      if (wanted.test(group) && members.size() > 1 && reference.isPresent()) {
        for (int member : members) {
          if (member != reference.getAsInt() && plan.weights().get(member) > 0) {
            pairs.add(new AlignmentCache.Pair(block.name(), reference.getAsInt(), member));
          }
        }
      }
    }
    return pairs;
  }

  private int[] align(MoeBlock block, AlignmentCache.Pair pair) {
    ExpertWeights reference = ExpertWeights.read(checkpoint, block, pair.reference());
    ExpertWeights member = ExpertWeights.read(checkpoint, block, pair.member());
    int[] order = aligner.permutation(reference, member);
    cache.keep(pair, order);
    return order;
  }
}
