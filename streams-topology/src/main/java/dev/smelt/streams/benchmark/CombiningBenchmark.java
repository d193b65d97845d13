package dev.smelt.streams.benchmark;

import dev.smelt.streams.usage.Accumulator;
import dev.smelt.streams.usage.Combined;
import dev.smelt.streams.usage.Usage;
import dev.smelt.streams.usage.UsageRecord;
import dev.smelt.streams.usage.UsageRecordFormat;
import java.time.Instant;

/** What combining decisions costs a tap. */
public final class CombiningBenchmark {

  private CombiningBenchmark() {}

  /**
   * Nanoseconds of one processor for each token in all layers of a model, that a tap takes to
   * combine decisions and to write a record of them.
   *
   * @param tokens tokens in a record
   */
  public static double nanosPerToken(Model model, int tokens, long seed) {
    int[][] ids = new int[model.layers()][];
    for (int layer = 0; layer < model.layers(); layer++) {
      ids[layer] = SyntheticTraffic.ids(model.experts(), model.topK(), tokens, 1, seed + layer);
    }
    int rounds = Math.max(2, 200_000 / tokens);
    long begin = 0;
    for (int round = -rounds; round < rounds; round++) {
      if (round == 0) {
        begin = Instance.processorNanos(Thread.currentThread());
      }
      for (int layer = 0; layer < model.layers(); layer++) {
        Accumulator sums = Usage.accumulator(model.experts(), model.topK());
        UsageRecordFormat.write(
            new UsageRecord(
                Fleet.key(model, layer),
                "engine",
                "",
                rounds + round,
                Instant.EPOCH,
                Instant.EPOCH,
                new Combined(sums.add(ids[layer], tokens).build())));
      }
    }
    long nanos = Instance.processorNanos(Thread.currentThread()) - begin;
    return (double) nanos / rounds / tokens;
  }
}
