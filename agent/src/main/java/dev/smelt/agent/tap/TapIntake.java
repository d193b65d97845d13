package dev.smelt.agent.tap;

import dev.smelt.agent.tap.TappedModel.SequenceDecisions;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Takes captures from the serving path and decodes and combines them on a thread of its own, which
 * also keeps the combiner ticking, and which gives way to threads that serve wherever it can.
 *
 * <p>Failure semantics: offering never blocks and never throws; what does not fit the queue is
 * dropped and counted. Closing decodes what waits and sends it.
 */
final class TapIntake implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(TapIntake.class);

  /**
   * How long captures are left to wait. Decoding each as it comes would take the processor just
   * when the answer's last steps need it; and several together are counted quicker.
   */
  private static final long TICK_NANOS = Duration.ofMillis(10).toNanos();

  /** Captures that are counted together: what they need beside the sums stays in the cache. */
  private static final int BATCH = 32;

  private static final long CLOSE_MILLIS = 5_000;

  private final TappedModel model;
  private final Combiner combiner;
  private final TapHealth health;
  private final BlockingQueue<Capture> queue;
  private final long queueBytes;
  private final AtomicLong waitingBytes = new AtomicLong();
  private final Thread thread;
  private volatile boolean closing;

  TapIntake(
      TappedModel model,
      Combiner combiner,
      TapHealth health,
      ProxySettings settings,
      MeterRegistry metrics) {
    this.model = model;
    this.combiner = combiner;
    this.health = health;
    queue = new LinkedBlockingQueue<>(settings.queueAnswers());
    queueBytes = settings.queueBytes();
    metrics.gauge("smelt_tap_waiting", Tags.of("model", model.name()), queue, BlockingQueue::size);
    thread = new Thread(this::run, "smelt-tap");
    thread.setDaemon(true);
    thread.start();
  }

  void offer(Capture capture) {
    long bytes = capture.bytes();
    long waiting = waitingBytes.addAndGet(bytes);
    if (waiting > queueBytes || !queue.offer(capture)) {
      waitingBytes.addAndGet(-bytes);
      health.lost(TapFault.BEHIND);
    } else if (waiting > queueBytes / 2 || queue.remainingCapacity() < queue.size()) {
      LockSupport.unpark(thread);
    }
  }

  private void run() {
    List<Capture> batch = new ArrayList<>();
    while (!closing || !queue.isEmpty()) {
      LockSupport.parkNanos(TICK_NANOS);
      while (queue.drainTo(batch, BATCH) > 0) {
        guarded(() -> take(batch));
        batch.clear();
      }
      guarded(combiner::tick);
    }
    guarded(combiner::flush);
  }

  private static void guarded(Runnable step) {
    try {
      step.run();
    } catch (RuntimeException unexpected) {
      LOG.atError().setCause(unexpected).log("Router decisions were lost");
    }
  }

  private void take(List<Capture> captures) {
    Map<String, List<SequenceDecisions>> served = new LinkedHashMap<>();
    for (Capture capture : captures) {
      waitingBytes.addAndGet(-capture.bytes());
      List<SequenceDecisions> decisions =
          served.computeIfAbsent(capture.snapshot(), first -> new ArrayList<>());
      for (Payload payload : capture.payloads()) {
        guarded(() -> decode(payload).ifPresent(decisions::add));
        Thread.yield();
      }
    }
    served.forEach((snapshot, decisions) -> combiner.add(decisions, snapshot));
  }

  private Optional<SequenceDecisions> decode(Payload payload) {
    try {
      SequenceDecisions decisions = model.decisions(payload.decode(model));
      health.used(decisions.tokens(), decisions.droppedRows());
      return Optional.of(decisions);
    } catch (PayloadException refused) {
      health.failed(refused.fault(), refused.getMessage());
      return Optional.empty();
    }
  }

  @Override
  public void close() {
    closing = true;
    LockSupport.unpark(thread);
    try {
      thread.join(CLOSE_MILLIS);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
