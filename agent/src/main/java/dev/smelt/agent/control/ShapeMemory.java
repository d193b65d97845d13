package dev.smelt.agent.control;

import dev.smelt.store.snapshot.Manifest;
import dev.smelt.store.snapshot.SnapshotStore;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Finds the earlier snapshot whose traffic was most like that of now. The memory is the store: what
 * retention removes is forgotten, and only the newest snapshots are looked at.
 */
final class ShapeMemory {

  private final SnapshotStore store;
  private final int newest;
  private @Nullable Instant asked;
  private Optional<Evidence.Earlier> answer = Optional.empty();

  /**
   * @param newest how many snapshots are looked at
   */
  ShapeMemory(SnapshotStore store, int newest) {
    this.store = store;
    this.newest = newest;
  }

  /**
   * The earlier snapshot that is nearer to the traffic than what drift is measured from, if any.
   *
   * @param active the snapshot that serves
   * @param reference what drift is measured from while it does
   * @param asOf when the traffic was seen; the store is read once for each
   * @param except ids that must not be found
   */
  Optional<Evidence.Earlier> nearer(
      Manifest active, Shape reference, Shape traffic, Instant asOf, Set<String> except) {
    if (asOf.equals(asked)) {
      return answer;
    }
    List<Manifest> all = store.snapshots(active.model());
    double ofActive =
        reference.covers(traffic) ? traffic.distance(reference) : Double.POSITIVE_INFINITY;
    answer =
        all.subList(Math.max(0, all.size() - newest), all.size()).stream()
            .filter(
                snapshot ->
                    !snapshot.fullModel()
                        && !snapshot.id().equals(active.id())
                        && !except.contains(snapshot.id())
                        && snapshot.checkpointDigest().equals(active.checkpointDigest())
                        && Shape.of(snapshot.baseline()).covers(traffic))
            .map(
                snapshot ->
                    new Evidence.Earlier(
                        snapshot.id(), traffic.distance(Shape.of(snapshot.baseline())), ofActive))
            .min(Comparator.comparingDouble(Evidence.Earlier::distance))
            .filter(earlier -> earlier.distance() < earlier.activeDistance());
    asked = asOf;
    return answer;
  }
}
