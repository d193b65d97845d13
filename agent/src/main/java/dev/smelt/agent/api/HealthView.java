package dev.smelt.agent.api;

import io.micrometer.core.instrument.Measurement;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tag;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.StreamSupport;

/**
 * Health as the dashboard shows it.
 *
 * @param ready whether every check is well
 * @param checks in the order they were registered
 * @param figures Smelt's own meters, by name
 */
record HealthView(boolean ready, List<HealthChecks.Result> checks, List<Figure> figures) {

  private static final String OURS = "smelt_";

  /** One measured value. */
  record Figure(String name, Map<String, String> tags, String statistic, double value) {}

  static HealthView of(List<HealthChecks.Result> checks, MeterRegistry meters) {
    List<Figure> figures =
        meters.getMeters().stream()
            .filter(meter -> meter.getId().getName().startsWith(OURS))
            .sorted(Comparator.comparing((Meter meter) -> meter.getId().getName()))
            .flatMap(
                meter ->
                    StreamSupport.stream(meter.measure().spliterator(), false)
                        .filter(measurement -> Double.isFinite(measurement.getValue()))
                        .map(measurement -> figure(meter, measurement)))
            .toList();
    return new HealthView(checks.stream().allMatch(HealthChecks.Result::ready), checks, figures);
  }

  private static Figure figure(Meter meter, Measurement measurement) {
    Map<String, String> tags = new LinkedHashMap<>();
    for (Tag tag : meter.getId().getTags()) {
      tags.put(tag.getKey(), tag.getValue());
    }
    return new Figure(
        meter.getId().getName(),
        tags,
        ApiJson.lowerCase(measurement.getStatistic()),
        measurement.getValue());
  }
}
