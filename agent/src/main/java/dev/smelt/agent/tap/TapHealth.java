package dev.smelt.agent.tap;

import dev.smelt.agent.tap.TapStatus.Resting;
import dev.smelt.agent.tap.TapStatus.State;
import dev.smelt.agent.tap.TapStatus.Tapping;
import dev.smelt.agent.tap.TapStatus.Waiting;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import java.time.Clock;
import java.time.Duration;
import java.util.EnumMap;
import java.util.Map;
import java.util.concurrent.atomic.LongAdder;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Decides from what came back whether the engine is still to be asked for routed experts. Safe for
 * use by several threads. Its own counts are those of one proxy; the metrics add up all of them.
 */
final class TapHealth {

  private static final Logger LOG = LoggerFactory.getLogger(TapHealth.class);

  private final int faultsBeforeRest;
  private final Duration rest;
  private final Clock clock;
  private final Map<TapFault, Counter> faults = new EnumMap<>(TapFault.class);
  private final Map<TapFault, LongAdder> ownFaults = new EnumMap<>(TapFault.class);
  private final Counter answers;
  private final Counter tokens;
  private final Counter droppedRows;
  private final LongAdder ownAnswers = new LongAdder();
  private final LongAdder ownTokens = new LongAdder();
  private volatile State state = new Waiting();
  private int faultsInARow;

  TapHealth(String model, int faultsBeforeRest, Duration rest, Clock clock, MeterRegistry metrics) {
    Tags tags = Tags.of("model", model);
    this.faultsBeforeRest = faultsBeforeRest;
    this.rest = rest;
    this.clock = clock;
    for (TapFault fault : TapFault.values()) {
      faults.put(fault, metrics.counter("smelt_tap_faults", tags.and("reason", fault.label())));
      ownFaults.put(fault, new LongAdder());
    }
    answers = metrics.counter("smelt_tap_answers", tags);
    tokens = metrics.counter("smelt_tap_tokens", tags);
    droppedRows = metrics.counter("smelt_tap_rows_dropped", tags);
    metrics.gauge("smelt_tap_resting", tags, this, health -> health.asks() ? 0 : 1);
  }

  /** Whether to ask the engine: always, except during a rest. */
  boolean asks() {
    return !(state instanceof Resting resting) || !clock.instant().isBefore(resting.until());
  }

  synchronized void used(int usedTokens, int rowsLeftOut) {
    answers.increment();
    ownAnswers.increment();
    tokens.increment(usedTokens);
    ownTokens.add(usedTokens);
    droppedRows.increment(rowsLeftOut);
    faultsInARow = 0;
    if (state instanceof Resting) {
      LOG.atInfo().log("The tap reads router decisions again");
    }
    state = new Tapping(clock.instant());
  }

  /** An answer that could not be used; the tap rests after several in a row. */
  synchronized void failed(TapFault fault, String detail) {
    count(fault);
    faultsInARow++;
    if (faultsInARow >= faultsBeforeRest) {
      startRest(fault, detail);
    }
  }

  /** The engine refused to be asked; the tap rests at once, since each try costs a request. */
  synchronized void refused(String detail) {
    count(TapFault.REJECTED);
    faultsInARow = faultsBeforeRest;
    startRest(TapFault.REJECTED, detail);
  }

  /** Something was lost that says nothing about the engine. */
  void lost(TapFault fault) {
    count(fault);
  }

  private void count(TapFault fault) {
    faults.get(fault).increment();
    ownFaults.get(fault).increment();
  }

  private void startRest(TapFault fault, String detail) {
    if (!(state instanceof Resting before) || before.fault() != fault) {
      LOG.atWarn()
          .addKeyValue("reason", fault.label())
          .addKeyValue("detail", detail)
          .addKeyValue("remedy", fault.remedy())
          .log("The tap rests; serving goes on");
    }
    state = new Resting(fault, detail, clock.instant().plus(rest));
  }

  TapStatus status() {
    Map<TapFault, Long> counted = new EnumMap<>(TapFault.class);
    ownFaults.forEach(
        (fault, count) -> {
          if (count.sum() > 0) {
            counted.put(fault, count.sum());
          }
        });
    return new TapStatus(state, ownAnswers.sum(), ownTokens.sum(), counted);
  }
}
