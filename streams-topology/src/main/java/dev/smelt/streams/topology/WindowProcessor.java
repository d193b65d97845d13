package dev.smelt.streams.topology;

import dev.smelt.streams.topology.LayerWindows.Accepted;
import dev.smelt.streams.topology.LayerWindows.Outcome;
import dev.smelt.streams.topology.LayerWindows.Refused;
import dev.smelt.streams.topology.RecordValidator.Invalid;
import dev.smelt.streams.topology.RecordValidator.Valid;
import dev.smelt.streams.topology.RecordValidator.Verdict;
import dev.smelt.streams.topology.Rejection.Reason;
import dev.smelt.streams.topology.RoutingMetrics.Event;
import dev.smelt.streams.usage.UsageRecord;
import dev.smelt.streams.usage.UsageWindow;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.StoreBuilder;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * From records to closed windows: validates, drops repetitions, adds up, and emits each window
 * once, when the time that the records tell has passed its end and the grace.
 *
 * <p>Forwards {@link UsageWindow}s, and the bytes of refused records with the reason in their
 * headers.
 */
final class WindowProcessor extends ContextualProcessor<String, byte[], String, Object> {

  private static final Logger LOGGER = LoggerFactory.getLogger(WindowProcessor.class);
  private static final long MAX_CHECK_MILLIS = 1_000;
  private static final long FORGET_ENGINE_MILLIS = Duration.ofHours(1).toMillis();

  /** Makes the processor and its store. */
  record Supplier(RoutingConfig config)
      implements ProcessorSupplier<String, byte[], String, Object> {

    @Override
    public WindowProcessor get() {
      return new WindowProcessor(config);
    }

    @Override
    public Set<StoreBuilder<?>> stores() {
      return Set.of(OpenWindows.builder(config));
    }
  }

  private record Closing(long start, LayerWindows layer) {}

  private final RoutingConfig config;
  private final RecordValidator validator;
  private OpenWindows windows;
  private RoutingMetrics metrics;

  /**
   * The latest time that any record told since the task began; what is closed, each layer knows.
   */
  private long streamTime;

  private long earliestEnd = Long.MAX_VALUE;
  private long lastRecordAt;

  private WindowProcessor(RoutingConfig config) {
    this.config = config;
    this.validator = new RecordValidator(config.clockSkew());
  }

  @Override
  public void init(ProcessorContext<String, Object> context) {
    super.init(context);
    windows = context.getStateStore(OpenWindows.NAME);
    windows.load();
    metrics = new RoutingMetrics(context);
    lastRecordAt = context.currentSystemTimeMs();
    findEarliest();
    context.schedule(
        Duration.ofMillis(Math.min(MAX_CHECK_MILLIS, config.idleClose().toMillis())),
        PunctuationType.WALL_CLOCK_TIME,
        this::lookAround);
  }

  @Override
  public void process(Record<String, byte[]> incoming) {
    long now = context().currentSystemTimeMs();
    lastRecordAt = now;
    Verdict verdict = validator.validate(incoming.key(), incoming.value(), now);
    if (verdict instanceof Invalid invalid) {
      refuse(incoming, invalid.rejection());
    } else if (verdict instanceof Valid valid) {
      count(incoming, valid.record());
    }
  }

  private void count(Record<String, byte[]> incoming, UsageRecord record) {
    LayerWindows layer = windows.layer(incoming.key());
    Outcome outcome = layer.add(record, streamTime);
    if (outcome instanceof Refused refused) {
      refuse(incoming, refused.rejection());
    } else {
      metrics.count(outcome == Accepted.DUPLICATE ? Event.DUPLICATE : Event.COUNTED, lastRecordAt);
    }
    earliestEnd = Math.min(earliestEnd, layer.earliestEnd());
    streamTime = Math.max(streamTime, record.end().toEpochMilli());
    closeWindowsUntil(streamTime - config.grace().toMillis());
  }

  private void refuse(Record<String, byte[]> incoming, Rejection rejection) {
    metrics.count(rejection.reason() == Reason.LATE ? Event.LATE : Event.REJECTED, lastRecordAt);
    LOGGER
        .atDebug()
        .setMessage("Refused a routing record")
        .addKeyValue("key", incoming.key())
        .addKeyValue("reason", rejection.reason().header())
        .addKeyValue("detail", rejection.detail())
        .log();
    context().forward(DeadLetters.of(incoming, rejection, context().recordMetadata()));
  }

  /** Closes by the clock of the machine what no further record will close, and shows figures. */
  private void lookAround(long now) {
    metrics.flush();
    if (now - lastRecordAt >= config.idleClose().toMillis()) {
      closeWindowsUntil(now - config.grace().toMillis());
    }
  }

  private void closeWindowsUntil(long end) {
    if (earliestEnd > end) {
      return;
    }
    List<Closing> closing = new ArrayList<>();
    for (LayerWindows layer : windows.layers()) {
      for (long start : layer.open().headMap(end - config.window().toMillis(), true).keySet()) {
        closing.add(new Closing(start, layer));
      }
    }
    closing.sort(
        Comparator.comparingLong(Closing::start).thenComparing(window -> window.layer().key()));
    for (Closing window : closing) {
      window.layer().forgetEnginesBefore(window.start() - FORGET_ENGINE_MILLIS);
      UsageWindow closed = window.layer().closeEarliest();
      context().forward(new Record<>(closed.key().toString(), closed, closed.end().toEpochMilli()));
    }
    findEarliest();
  }

  private void findEarliest() {
    earliestEnd =
        windows.layers().stream().mapToLong(LayerWindows::earliestEnd).min().orElse(Long.MAX_VALUE);
  }
}
