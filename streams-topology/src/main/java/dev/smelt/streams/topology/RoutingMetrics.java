package dev.smelt.streams.topology;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.MetricName;
import org.apache.kafka.common.metrics.Sensor;
import org.apache.kafka.common.metrics.Sensor.RecordingLevel;
import org.apache.kafka.common.metrics.stats.Meter;
import org.apache.kafka.common.metrics.stats.WindowedSum;
import org.apache.kafka.streams.processor.api.ProcessorContext;

/**
 * Rates and totals of what became of the routing records, for each task: {@code
 * stream-routing-metrics:records-*-total} among the metrics of the streams client.
 *
 * <p>A sensor takes a lock and looks for its sample each time, so it learns of all records of a
 * millisecond at once: when the next one counts, or at {@link #flush}.
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

  private static final String GROUP = "stream-routing-metrics";

  private final List<Sensor> sensors = new ArrayList<>();
  private final long[] pending = new long[Event.values().length];
  private long pendingAt;

  RoutingMetrics(ProcessorContext<?, ?> context) {
    String thread = Thread.currentThread().getName();
    String task = context.taskId().toString();
    Map<String, String> tags = Map.of("thread-id", thread, "routing-id", task);
    for (Event event : Event.values()) {
      String name = "records-" + event.operation;
      Sensor sensor =
          context.metrics().addSensor(thread + "." + task + "." + name, RecordingLevel.INFO);
      sensor.add(
          new Meter(
              new WindowedSum(),
              new MetricName(name + "-rate", GROUP, name + " a second", tags),
              new MetricName(name + "-total", GROUP, name + " altogether", tags)));
      sensors.add(sensor);
    }
  }

  void count(Event event, long now) {
    if (now != pendingAt) {
      flush();
      pendingAt = now;
    }
    pending[event.ordinal()]++;
  }

  /** Tells the sensors of everything that was counted. */
  void flush() {
    for (int event = 0; event < pending.length; event++) {
      if (pending[event] > 0) {
        sensors.get(event).record(pending[event], pendingAt);
        pending[event] = 0;
      }
    }
  }
}
