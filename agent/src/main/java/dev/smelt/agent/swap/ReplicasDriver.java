package dev.smelt.agent.swap;

import dev.smelt.agent.swap.SwapResult.Kept;
import dev.smelt.agent.swap.SwapResult.Served;
import dev.smelt.agent.swap.SwapResult.Unknown;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Swaps several replicas, one at a time.
 *
 * <p>Failure semantics: the first failure stops the swap; replicas that already serve the target
 * are taken back, last first, so that all serve the same again. If any of them cannot be, or the
 * failed one is unknown, the result is unknown and names the replicas.
 */
public final class ReplicasDriver implements SwapDriver {

  private final Map<String, SwapDriver> replicas;

  /**
   * @param replicas the replicas by name, in the order in which they are swapped
   */
  public ReplicasDriver(Map<String, ? extends SwapDriver> replicas) {
    if (replicas.isEmpty()) {
      throw new IllegalArgumentException("no replica to swap");
    }
    this.replicas = new LinkedHashMap<>(replicas);
  }

  @Override
  public SwapResult swap(Serving target, Serving previous) {
    List<String> swapped = new ArrayList<>();
    for (Map.Entry<String, SwapDriver> replica : replicas.entrySet()) {
      SwapResult result = replica.getValue().swap(target, previous);
      if (!(result instanceof Served)) {
        return takenBack(replica.getKey(), result, swapped, target, previous);
      }
      swapped.add(replica.getKey());
    }
    return new Served(target.snapshot());
  }

  @Override
  public boolean servesOther(Serving served) {
    return replicas.values().stream().anyMatch(replica -> replica.servesOther(served));
  }

  private SwapResult takenBack(
      String failed, SwapResult result, List<String> swapped, Serving target, Serving previous) {
    List<String> problems = takeBack(swapped, target, previous);
    if (result instanceof Kept kept && problems.isEmpty()) {
      return new Kept(previous.snapshot(), failed + ": " + kept.reason());
    }
    String first =
        result instanceof Unknown unknown
            ? unknown.reason()
            : result instanceof Kept kept ? kept.reason() : "";
    problems.add(0, failed + ": " + first);
    return new Unknown(String.join("; ", problems));
  }

  /** Takes replicas back to the previous weights; what went wrong, one entry for each. */
  private List<String> takeBack(List<String> swapped, Serving target, Serving previous) {
    List<String> problems = new ArrayList<>();
    for (int i = swapped.size() - 1; i >= 0; i--) {
      String name = swapped.get(i);
      SwapResult back = replicas.get(name).swap(/* target= */ previous, /* previous= */ target);
      if (back instanceof Kept kept) {
        problems.add("%s still serves %s: %s".formatted(name, target.version(), kept.reason()));
      } else if (back instanceof Unknown unknown) {
        problems.add(name + ": " + unknown.reason());
      }
    }
    return problems;
  }
}
