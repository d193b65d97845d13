package dev.smelt.agent.inference;

/**
 * Keys and values of the positions that a sequence has seen, for every layer. Keys are kept
 * transposed, so that the scores of one query are sums of contiguous rows.
 */
final class KeyValueCache {

  private final int capacity;
  private final int headSize;
  private final float[][] keys;
  private final float[][] values;
  private int length;

  KeyValueCache(ModelConfig config, int capacity) {
    this.capacity = capacity;
    this.headSize = config.headSize();
    int size = Math.multiplyExact(config.kvHeads() * headSize, capacity);
    this.keys = new float[config.layers()][size];
    this.values = new float[config.layers()][size];
  }

  int capacity() {
    return capacity;
  }

  /** Positions that all layers hold. */
  int length() {
    return length;
  }

  void advance(int positions) {
    length += positions;
  }

  /** Stores the keys and values of one position, all heads one after the other. */
  void store(int layer, int position, int kvHeads, float[] key, float[] value, int at) {
    for (int head = 0; head < kvHeads; head++) {
      int base = head * headSize * capacity;
      for (int i = 0; i < headSize; i++) {
        keys[layer][base + i * capacity + position] = key[at + head * headSize + i];
      }
      System.arraycopy(
          value, at + head * headSize, values[layer], base + position * headSize, headSize);
    }
  }

  float[] keys(int layer) {
    return keys[layer];
  }

  float[] values(int layer) {
    return values[layer];
  }

  /** Where element {@code i} of the keys of a head begins: one element for each position. */
  int keyRow(int head, int i) {
    return (head * headSize + i) * capacity;
  }

  /** Where the value of a position begins. */
  int valueRow(int head, int position) {
    return (head * capacity + position) * headSize;
  }
}
