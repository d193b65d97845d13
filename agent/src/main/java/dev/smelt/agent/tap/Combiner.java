package dev.smelt.agent.tap;

import dev.smelt.agent.tap.CombinerSettings.Form;
import dev.smelt.streams.usage.Accumulator;
import dev.smelt.streams.usage.Combined;
import dev.smelt.streams.usage.Decisions;
import dev.smelt.streams.usage.LayerKey;
import dev.smelt.streams.usage.PackedIds;
import dev.smelt.streams.usage.Usage;
import dev.smelt.streams.usage.UsageRecord;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Adds up the decisions of one model, layer by layer, until they are due, and then hands one usage
 * record for each layer to a sink. Safe for use by several threads; the sink is called by one at a
 * time.
 *
 * <p>A record never mixes snapshots: decisions made under another snapshot flush those before.
 */
public final class Combiner {

  private final CombinerSettings settings;
  private final String engine;
  private final Clock clock;
  private final UsageSink sink;
  private final Map<String, Layer> layers = new LinkedHashMap<>();
  private String snapshot = "";
  private long tokens;
  private @Nullable Instant begun;

  /**
   * @param engine name of the engine instance in usage records; the start time is added to it,
   *     since sequence numbers begin anew with every combiner
   */
  public Combiner(
      TappedModel model, CombinerSettings settings, String engine, Clock clock, UsageSink sink) {
    this.settings = settings;
    this.engine = engine + "@" + clock.millis();
    this.clock = clock;
    this.sink = sink;
    for (TappedModel.Block block : model.blocks()) {
      layers.put(block.name(), new Layer(new LayerKey(model.name(), block.name()), block));
    }
  }

  /**
   * Adds the decisions of some requests, made while the snapshot was served: layer by layer, so
   * that a layer's sums are in the processor's cache for all of them.
   */
  synchronized void add(List<TappedModel.SequenceDecisions> requests, String servedSnapshot) {
    List<TappedModel.SequenceDecisions> together = new ArrayList<>();
    for (TappedModel.SequenceDecisions request : requests) {
      begin(servedSnapshot);
      together.add(request);
      tokens += request.tokens();
      if (tokens >= settings.flushTokens()) {
        addTogether(together);
        together.clear();
        flush();
      }
    }
    addTogether(together);
  }

  private void addTogether(List<TappedModel.SequenceDecisions> requests) {
    Instant now = clock.instant();
    for (Layer layer : layers.values()) {
      for (TappedModel.SequenceDecisions request : requests) {
        layer.add(request.chosen().get(layer.block), request.tokens(), now);
      }
      giveWay();
    }
  }

  /** A layer can wait; an answer on its way to a client, for whose thread there is no core, not. */
  private static void giveWay() {
    Thread.yield();
  }

  /**
   * Adds what a hook inside the engine has added up.
   *
   * @throws IllegalArgumentException if a block is unknown or has another shape
   */
  synchronized void add(Map<String, Usage> usage, String servedSnapshot) {
    Instant now = begin(servedSnapshot);
    usage.forEach((block, sums) -> layer(block).add(sums, now));
    tokens += usage.values().stream().mapToLong(Usage::tokens).max().orElse(0);
    flushIfFull();
  }

  /** Sends what is due, and heartbeats of layers that have been silent. Call it often. */
  public synchronized void tick() {
    Instant now = clock.instant();
    if (begun != null && !now.isBefore(begun.plus(settings.flushInterval()))) {
      flush();
    }
    for (Layer layer : layers.values()) {
      if (!now.isBefore(layer.lastSent.plus(settings.heartbeat()))) {
        layer.sendHeartbeat(now);
      }
    }
  }

  /** Sends everything. */
  public synchronized void flush() {
    for (Layer layer : layers.values()) {
      layer.send();
      giveWay();
    }
    tokens = 0;
    begun = null;
  }

  private Instant begin(String servedSnapshot) {
    if (!servedSnapshot.equals(snapshot)) {
      flush();
      snapshot = servedSnapshot;
    }
    Instant now = clock.instant();
    if (begun == null) {
      begun = now;
    }
    return now;
  }

  private void flushIfFull() {
    if (tokens >= settings.flushTokens()) {
      flush();
    }
  }

  private Layer layer(String block) {
    Layer layer = layers.get(block);
    if (layer == null) {
      throw new IllegalArgumentException(block + ": the model has no such block");
    }
    return layer;
  }

  private final class Layer {

    private final LayerKey key;
    private final TappedModel.Block block;
    private Accumulator sums;
    private int[] packed = new int[0];
    private int packedLength;
    private long packedRequests;
    private @Nullable Instant start;
    private Instant end;
    private Instant lastSent;
    private long sequence;

    Layer(LayerKey key, TappedModel.Block block) {
      this.key = key;
      this.block = block;
      sums = newSums();
      end = clock.instant();
      lastSent = end;
    }

    void add(int[] ids, int rows, Instant now) {
      if (settings.form() == Form.PACKED) {
        if (packed.length < packedLength + ids.length) {
          packed = Arrays.copyOf(packed, Math.max(packed.length * 2, packedLength + ids.length));
        }
        System.arraycopy(ids, 0, packed, packedLength, ids.length);
        packedLength += ids.length;
        packedRequests++;
      } else {
        sums.add(ids, rows).addRequests(1);
      }
      seen(now);
    }

    void add(Usage usage, Instant now) {
      sums.add(usage);
      seen(now);
    }

    private void seen(Instant now) {
      if (start == null) {
        start = now;
      }
      end = now;
    }

    void send() {
      if (packedLength > 0) {
        int rows = packedLength / block.topK();
        send(PackedIds.pack(block.experts(), block.topK(), packed, rows, packedRequests));
        packedLength = 0;
        packedRequests = 0;
      }
      if (!sums.isEmpty()) {
        send(new Combined(sums.build()));
        sums = newSums();
      }
      start = null;
    }

    private void send(Decisions decisions) {
      Instant first = start == null ? end : start;
      sink.accept(new UsageRecord(key, engine, snapshot, sequence++, first, end, decisions));
      lastSent = clock.instant();
    }

    void sendHeartbeat(Instant now) {
      sink.accept(
          UsageRecord.heartbeat(
              key, engine, snapshot, sequence++, now, block.experts(), block.topK()));
      lastSent = now;
    }

    private Accumulator newSums() {
      return Usage.accumulator(block.experts(), block.topK());
    }
  }
}
