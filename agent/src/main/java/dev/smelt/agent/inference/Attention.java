package dev.smelt.agent.inference;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.compute.Transpose;
import dev.smelt.agent.compute.Weights;
import java.util.Arrays;
import java.util.List;

/** Grouped-query attention with rotary positions, causal within each sequence. */
record Attention(
    ModelConfig config,
    Rotary rotary,
    int layer,
    Weights query,
    Weights key,
    Weights value,
    Weights output) {

  /**
   * Attends from each new token to itself and all before it in its sequence.
   *
   * @param x normed inputs, rows x hidden, the segments one after the other
   * @param into rows x hidden, overwritten
   */
  void apply(Compute compute, List<Segment> segments, int rows, float[] x, float[] into) {
    int queryWidth = config.heads() * config.headSize();
    int keyWidth = config.kvHeads() * config.headSize();
    float[] queries = new float[rows * queryWidth];
    float[] keys = new float[rows * keyWidth];
    float[] values = new float[rows * keyWidth];
    compute.project(query, rows, x, queries);
    compute.project(key, rows, x, keys);
    compute.project(value, rows, x, values);
    scale(queries);
    float[] mixed = new float[rows * queryWidth];
    int row = 0;
    for (Segment segment : segments) {
      int count = segment.tokens().length;
      int first = segment.cache().length();
      for (int i = 0; i < count; i++) {
        rotary.turn(queries, (row + i) * queryWidth, config.heads(), first + i);
        rotary.turn(keys, (row + i) * keyWidth, config.kvHeads(), first + i);
        segment
            .cache()
            .store(layer, first + i, config.kvHeads(), keys, values, (row + i) * keyWidth);
      }
      if (count == 1) {
        step(segment.cache(), row, queries, mixed);
      } else {
        batch(compute, segment.cache(), row, count, queries, mixed);
      }
      row += count;
    }
    compute.project(output, rows, mixed, into);
  }

  private void scale(float[] queries) {
    float factor = (float) (1 / Math.sqrt(config.headSize()));
    for (int i = 0; i < queries.length; i++) {
      queries[i] *= factor;
    }
  }

  private void step(KeyValueCache cache, int row, float[] queries, float[] mixed) {
    int positions = cache.length() + 1;
    int size = config.headSize();
    int shared = config.heads() / config.kvHeads();
    float[] scores = new float[positions];
    for (int head = 0; head < config.heads(); head++) {
      int kvHead = head / shared;
      int at = (row * config.heads() + head) * size;
      Arrays.fill(scores, 0f);
      for (int i = 0; i < size; i++) {
        Kernels.addScaled(
            queries[at + i], cache.keys(layer), cache.keyRow(kvHead, i), scores, 0, positions);
      }
      Kernels.softmax(scores, 0, positions);
      for (int position = 0; position < positions; position++) {
        Kernels.addScaled(
            scores[position],
            cache.values(layer),
            cache.valueRow(kvHead, position),
            mixed,
            at,
            size);
      }
    }
  }

  /** The query heads that share keys are stacked, so that each product is one for all of them. */
  private void batch(
      Compute compute, KeyValueCache cache, int row, int count, float[] queries, float[] mixed) {
    int before = cache.length();
    int positions = before + count;
    int size = config.headSize();
    int shared = config.heads() / config.kvHeads();
    Matrix stacked = Matrix.zeros(shared * count, size);
    Matrix keys = Matrix.zeros(size, positions);
    Matrix values = Matrix.zeros(positions, size);
    Matrix scores = Matrix.zeros(shared * count, positions);
    Matrix result = Matrix.zeros(shared * count, size);
    for (int kvHead = 0; kvHead < config.kvHeads(); kvHead++) {
      for (int i = 0; i < size; i++) {
        System.arraycopy(
            cache.keys(layer), cache.keyRow(kvHead, i), keys.values(), i * positions, positions);
      }
      System.arraycopy(
          cache.values(layer), cache.valueRow(kvHead, 0), values.values(), 0, positions * size);
      for (int s = 0; s < shared; s++) {
        for (int i = 0; i < count; i++) {
          int from = ((row + i) * config.heads() + kvHead * shared + s) * size;
          System.arraycopy(queries, from, stacked.values(), (s * count + i) * size, size);
        }
      }
      compute.gemm(Transpose.NO, Transpose.NO, 1f, stacked, keys, 0f, scores);
      for (int s = 0; s < shared; s++) {
        for (int i = 0; i < count; i++) {
          int at = (s * count + i) * positions;
          int visible = before + i + 1;
          Kernels.softmax(scores.values(), at, visible);
          Arrays.fill(scores.values(), at + visible, at + positions, 0f);
        }
      }
      compute.gemm(Transpose.NO, Transpose.NO, 1f, scores, values, 0f, result);
      for (int s = 0; s < shared; s++) {
        for (int i = 0; i < count; i++) {
          int into = ((row + i) * config.heads() + kvHead * shared + s) * size;
          System.arraycopy(result.values(), (s * count + i) * size, mixed, into, size);
        }
      }
    }
  }
}
