package dev.smelt.agent.tap;

import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Takes captures from the serving path and decodes and combines them on a thread of its own, which
 * also keeps the combiner ticking.
 *
 * <p>Failure semantics: offering never blocks and never throws; what does not fit the queue is
 * dropped and counted. Closing decodes what waits and sends it.
 */
final class TapIntake implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(TapIntake.class);
  private static final long TICK_MILLIS = 50;
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
    if (waitingBytes.addAndGet(bytes) > queueBytes || !queue.offer(capture)) {
      waitingBytes.addAndGet(-bytes);
      health.lost(TapFault.BEHIND);
    }
  }

  private void run() {
    while (!closing || !queue.isEmpty()) {
      try {
        Capture capture = queue.poll(TICK_MILLIS, TimeUnit.MILLISECONDS);
        if (capture != null) {
          waitingBytes.addAndGet(-capture.bytes());
          guarded(() -> take(capture));
        }
        guarded(combiner::tick);
      } catch (InterruptedException interrupted) {
        closing = true;
      }
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

  private void take(Capture capture) {
    for (Payload payload : capture.payloads()) {
      try {
        TappedModel.SequenceDecisions decisions = model.decisions(payload.decode(model));
        combiner.add(decisions, capture.snapshot());
        health.used(decisions.tokens(), decisions.droppedRows());
      } catch (PayloadException refused) {
        health.failed(refused.fault(), refused.getMessage());
      }
    }
  }

  @Override
  public void close() {
    closing = true;
    try {
      thread.join(CLOSE_MILLIS);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
