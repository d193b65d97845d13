package dev.smelt.agent.control;

import dev.smelt.streams.drift.Drift;
import dev.smelt.streams.drift.LayerDrift;
import dev.smelt.streams.drift.ModelDrift;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The newest drift records of one model. Safe for use by several threads. */
public final class DriftHistory {

  private static final int REMEMBERED = 1_000;

  private final Deque<ModelDrift> models = new ArrayDeque<>();
  private final Map<Instant, Map<String, LayerDrift>> layers = new HashMap<>();

  /** Takes the next record of the topic; layers may come before or after their model. */
  public synchronized void add(Drift drift) {
    if (drift instanceof LayerDrift layer) {
      layers
          .computeIfAbsent(layer.windowEnd(), end -> new HashMap<>())
          .put(layer.key().layer(), layer);
    } else if (drift instanceof ModelDrift model) {
      if (!models.isEmpty() && models.getLast().windowEnd().equals(model.windowEnd())) {
        models.removeLast();
      }
      models.addLast(model);
    }
    if (models.size() > REMEMBERED) {
      Instant oldest = models.removeFirst().windowEnd();
      layers.keySet().removeIf(end -> !end.isAfter(oldest));
    }
  }

  /**
   * The newest record of the model that was measured from a snapshot's baseline.
   *
   * @param since windows that began before it are left out
   */
  public synchronized Optional<ModelDrift> newest(String snapshot, Instant since) {
    return Optional.ofNullable(models.peekLast())
        .filter(drift -> measured(drift, snapshot, since) && drift.judgedLayers() > 0);
  }

  /**
   * How many windows in a row, up to the newest, were breached against a snapshot's baseline.
   *
   * @param since windows that began before it are left out
   */
  public synchronized int breachedWindows(String snapshot, Instant since) {
    int breached = 0;
    for (var newestFirst = models.descendingIterator(); newestFirst.hasNext(); breached++) {
      ModelDrift drift = newestFirst.next();
      if (!drift.breached() || !measured(drift, snapshot, since)) {
        break;
      }
    }
    return breached;
  }

  private static boolean measured(ModelDrift drift, String snapshot, Instant since) {
    return drift.snapshot().equals(snapshot) && !drift.windowStart().isBefore(since);
  }

  /** The newest windows, oldest first. */
  public synchronized List<DriftPoint> points(int most) {
    List<DriftPoint> points = new ArrayList<>();
    models.stream()
        .skip(Math.max(0, models.size() - most))
        .forEach(model -> points.add(point(model)));
    return points;
  }

  private DriftPoint point(ModelDrift model) {
    return new DriftPoint(
        model.windowEnd(),
        model.value(),
        model.threshold(),
        model.breached(),
        model.tokens(),
        model.requests(),
        layers.getOrDefault(model.windowEnd(), Map.of()).values().stream()
            .sorted((first, second) -> first.key().compareTo(second.key()))
            .map(
                layer ->
                    new DriftPoint.Layer(
                        layer.key().layer(), layer.value(), layer.threshold(), layer.breached()))
            .toList());
  }
}
