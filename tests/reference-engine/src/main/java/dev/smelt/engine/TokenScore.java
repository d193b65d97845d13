package dev.smelt.engine;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalDouble;

/**
 * How probable a token was at its place.
 *
 * @param logprob natural logarithm of its probability; empty for a first token, which nothing
 *     precedes
 * @param top the likeliest tokens there, by name, likeliest first
 */
record TokenScore(int token, OptionalDouble logprob, Map<String, Double> top) {

  /** The first token of a sequence. */
  static TokenScore unconditional(int token) {
    return new TokenScore(token, OptionalDouble.empty(), Map.of());
  }

  /**
   * @param logits of all tokens, from an index on
   * @param named how many of the likeliest to name
   */
  static TokenScore of(int token, float[] logits, int at, int vocabulary, int named) {
    double max = Double.NEGATIVE_INFINITY;
    for (int i = at; i < at + vocabulary; i++) {
      max = Math.max(max, logits[i]);
    }
    double sum = 0;
    for (int i = at; i < at + vocabulary; i++) {
      sum += Math.exp(logits[i] - max);
    }
    double normalizer = max + Math.log(sum);
    Map<String, Double> top = new LinkedHashMap<>();
    boolean[] taken = new boolean[vocabulary];
    for (int n = 0; n < Math.min(named, vocabulary); n++) {
      int best = -1;
      for (int i = 0; i < vocabulary; i++) {
        if (!taken[i] && (best < 0 || logits[at + i] > logits[at + best])) {
          best = i;
        }
      }
      taken[best] = true;
      top.put(ByteText.name(best), logits[at + best] - normalizer);
    }
    return new TokenScore(token, OptionalDouble.of(logits[at + token] - normalizer), top);
  }
}
