package dev.smelt.agent.control;

import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.SnapshotStore;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Finds the earlier snapshot that suits the traffic of now better than the active one. Where the
 * gate knows their scores, that is the one that it foresees to lose least, which may have been made
 * for quite other traffic; where it does not, the one that was made for the nearest traffic. In
 * both it must be better by a margin, so that two that are about as good do not take turns.
 *
 * <p>The memory is the store: what retention removes is forgotten, and only the newest snapshots
 * are looked at.
 */
final class ShapeMemory {

  /** Of the active one's distance; an earlier snapshot's must be under it. */
  private static final double NEARER = 0.9;

  private final SnapshotStore store;
  private final Gate gate;
  private final int newest;
  private @Nullable Instant asked;
  private Optional<Evidence.Earlier> answer = Optional.empty();

  /**
   * @param gate says what snapshots would lose
   * @param newest how many snapshots are looked at
   */
  ShapeMemory(SnapshotStore store, Gate gate, int newest) {
    this.store = store;
    this.gate = gate;
    this.newest = newest;
  }

  /**
   * The earlier snapshot that suits some traffic better, if any.
   *
   * @param active the snapshot that serves
   * @param reference what drift is measured from while it does
   * @param asOf when the traffic was seen; the store is read once for each
   * @param except ids that must not be found
   * @throws UncheckedIOException when a text of the gate cannot be read
   */
  Optional<Evidence.Earlier> better(
      Manifest active, Shape reference, Shape traffic, Instant asOf, Set<String> except) {
    if (!asOf.equals(asked)) {
      List<Manifest> all = store.snapshots(active.model());
      List<Manifest> earlier =
          all.subList(Math.max(0, all.size() - newest), all.size()).stream()
              .filter(
                  snapshot ->
                      !snapshot.fullModel()
                          && !snapshot.id().equals(active.id())
                          && !except.contains(snapshot.id())
                          && snapshot.checkpointDigest().equals(active.checkpointDigest())
                          && Shape.of(snapshot.baseline()).covers(traffic))
              .toList();
      Map<String, Double> gains = gains(earlier, active, traffic);
      answer = gains.isEmpty() ? nearest(earlier, reference, traffic) : best(gains);
      asked = asOf;
    }
    return answer;
  }

  private Map<String, Double> gains(List<Manifest> earlier, Manifest active, Shape traffic) {
    try {
      return gate.gains(earlier, active, traffic);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private Optional<Evidence.Earlier> best(Map<String, Double> gains) {
    return gains.entrySet().stream()
        .max(Map.Entry.comparingByValue())
        .filter(best -> best.getValue() >= gate.recallGain())
        .map(
            best ->
                new Evidence.Earlier(
                    best.getKey(),
                    String.format(
                        Locale.ROOT,
                        "on traffic like this, %s loses %.3f bits per byte less than the active"
                            + " one",
                        best.getKey(),
                        best.getValue())));
  }

  private static Optional<Evidence.Earlier> nearest(
      List<Manifest> earlier, Shape reference, Shape traffic) {
    double ofActive =
        reference.covers(traffic) ? traffic.distance(reference) : Double.POSITIVE_INFINITY;
    record Distance(String snapshot, double value) {}
    return earlier.stream()
        .map(
            snapshot ->
                new Distance(snapshot.id(), traffic.distance(Shape.of(snapshot.baseline()))))
        .min(Comparator.comparingDouble(Distance::value))
        .filter(nearest -> nearest.value() < NEARER * ofActive)
        .map(
            nearest ->
                new Evidence.Earlier(
                    nearest.snapshot(),
                    String.format(
                        Locale.ROOT,
                        "traffic is %.3f from what %s was made for, %.3f from the active one's"
                            + " baseline",
                        nearest.value(),
                        nearest.snapshot(),
                        ofActive)));
  }
}
