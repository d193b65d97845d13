package dev.smelt.streams.topology;

import java.util.EnumMap;
import java.util.Map;
import org.apache.kafka.common.metrics.Sensor;
import org.apache.kafka.common.metrics.Sensor.RecordingLevel;
import org.apache.kafka.streams.processor.api.ProcessorContext;

/**
 * Rates and totals of what became of the routing records, for each task: {@code
 * stream-routing-metrics:records-*-total} among the metrics of the streams client.
 */
final class RoutingMetrics {

  enum Event {
    COUNTED("counted"),
    DUPLICATE("duplicate"),
    LATE("late"),
    REJECTED("rejected");

    private final String operation;

    Event(String operation) {
      this.operation = operation;
    }
  }

  private final Map<Event, Sensor> sensors = new EnumMap<>(Event.class);

  RoutingMetrics(ProcessorContext<?, ?> context) {
    for (Event event : Event.values()) {
      sensors.put(
          event,
          context
              .metrics()
              .addRateTotalSensor(
                  "routing",
                  context.taskId().toString(),
                  "records-" + event.operation,
                  RecordingLevel.INFO));
    }
  }

  void count(Event event, long now) {
    sensors.get(event).record(1, now, false);
  }
}
