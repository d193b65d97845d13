package dev.smelt.streams.drift;

import java.util.Comparator;
import java.util.List;

/** What the layers of a model say together about one window. */
public record ModelVerdict(ModelDrift model, List<LayerDrift> layers) {

  public ModelVerdict {
    layers = List.copyOf(layers);
  }

  /**
   * Weighs the layers of a model against each other by the step-up procedure of Benjamini and
   * Hochberg (1995): of m judged layers with ordered p-values, the k lowest count as drifted, k
   * being the largest with {@code p_(k) <= rate * k / m}. While no layer drifts, the chance of any
   * false alarm is at most the rate.
   *
   * @param evidence one or more layers of one model and window
   */
  public static ModelVerdict of(List<LayerEvidence> evidence, DriftSettings settings) {
    List<LayerEvidence> judged =
        evidence.stream().filter(layer -> layer.status() == Status.JUDGED).toList();
    double limit = limit(judged, settings);
    List<LayerDrift> layers =
        evidence.stream()
            .sorted(Comparator.comparing(LayerEvidence::key))
            .map(layer -> layer.judged(limit, settings))
            .toList();
    LayerDrift deciding =
        layers.stream()
            .min(
                Comparator.comparingDouble((LayerDrift layer) -> deciding(layer).pValue())
                    .thenComparing(layer -> -layer.value()))
            .orElseThrow();
    List<String> breached =
        layers.stream().filter(LayerDrift::breached).map(layer -> layer.key().layer()).toList();
    return new ModelVerdict(
        new ModelDrift(
            deciding.model(),
            deciding.snapshot(),
            deciding.windowStart(),
            deciding.windowEnd(),
            deciding.key().layer(),
            deciding(deciding).value(),
            deciding(deciding).threshold(),
            layers.stream()
                .filter(layer -> layer.status() == Status.JUDGED)
                .mapToDouble(LayerDrift::value)
                .average()
                .orElse(0),
            layers.stream().mapToLong(LayerDrift::tokens).max().orElse(0),
            layers.stream().mapToLong(LayerDrift::requests).max().orElse(0),
            deciding.effectiveRequests(),
            layers.size(),
            judged.size(),
            breached,
            !breached.isEmpty()),
        layers);
  }

  private static Distance deciding(LayerDrift layer) {
    boolean windowDecides =
        layer.window().pValue() < layer.profile().pValue() && layer.window().exceeded();
    return windowDecides ? layer.window() : layer.profile();
  }

  private static double limit(List<LayerEvidence> judged, DriftSettings settings) {
    if (judged.isEmpty()) {
      return 0;
    }
    double[] ordered =
        judged.stream().mapToDouble(layer -> layer.pValue(settings)).sorted().toArray();
    double step = settings.falseDiscoveryRate() / ordered.length;
    int drifted = 1;
    for (int k = ordered.length; k > 1; k--) {
      if (ordered[k - 1] <= step * k) {
        drifted = k;
        break;
      }
    }
    return step * drifted;
  }
}
