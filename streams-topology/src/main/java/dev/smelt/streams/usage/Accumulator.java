package dev.smelt.streams.usage;

import dev.smelt.streams.usage.InvalidDecisionException.Reason;
import dev.smelt.streams.wire.CountSums;
import org.jspecify.annotations.Nullable;

/**
 * Adds up decisions of one layer. Not for use by more than one thread.
 *
 * <p>Failure semantics: a method that throws has added nothing.
 */
public final class Accumulator {

  /** The id that marks a slot without a decision. */
  public static final int PADDING = -1;

  private final int experts;
  private final int topK;
  private final int[] pairRow;
  private final long[] counts;
  private final CountSums pairs;

  /** For each expert, the last row that chose it: finds duplicates in one pass. */
  private final long[] seenInRow;

  private long lastRow;
  private long tokens;
  private long requests;
  private double @Nullable [] gateMass;
  private double @Nullable [] logitGram;
  private double @Nullable [] outputNorm;

  Accumulator(int experts, int topK) {
    Usage.checkShape(experts, topK);
    this.experts = experts;
    this.topK = topK;
    pairRow = new int[experts];
    for (int expert = 0; expert < experts; expert++) {
      pairRow[expert] = Triangle.pairRow(experts, expert);
    }
    counts = new long[experts];
    pairs = new CountSums(Triangle.pairs(experts));
    seenInRow = new long[experts];
  }

  public int experts() {
    return experts;
  }

  public int topK() {
    return topK;
  }

  public long tokens() {
    return tokens;
  }

  public boolean isEmpty() {
    return tokens == 0 && requests == 0;
  }

  /**
   * Adds the decisions of some tokens. Slots of {@link #PADDING} are skipped; a row of nothing else
   * is no token.
   *
   * @param ids expert ids, row-major [tokens, topK]
   * @param rows number of rows
   * @throws InvalidDecisionException if an id is out of range or twice in a row
   */
  public Accumulator add(int[] ids, int rows) {
    checkRows("expert ids", ids.length, rows, topK);
    addRows(ids, rows);
    return this;
  }

  /**
   * Adds decisions with their gate weights.
   *
   * @param ids expert ids, row-major [tokens, topK]
   * @param gateWeights weight of each decision, in the same order
   * @param rows number of rows
   * @throws InvalidDecisionException if an id is out of range or twice in a row
   */
  public Accumulator add(int[] ids, float[] gateWeights, int rows) {
    checkRows("expert ids", ids.length, rows, topK);
    checkRows("gate weights", gateWeights.length, rows, topK);
    addRows(ids, rows);
    gateMass = orNew(gateMass, experts);
    addWeighted(gateMass, ids, gateWeights, rows);
    return this;
  }

  /**
   * Adds gate weight times output norm of decisions that are (or will be) added by {@code add}.
   *
   * @param ids expert ids, row-major [tokens, topK], valid
   * @param gatedNorms gate weight times norm of the expert's output, in the same order
   * @param rows number of rows
   */
  public Accumulator addOutputNorms(int[] ids, float[] gatedNorms, int rows) {
    checkRows("expert ids", ids.length, rows, topK);
    checkRows("output norms", gatedNorms.length, rows, topK);
    outputNorm = orNew(outputNorm, experts);
    addWeighted(outputNorm, ids, gatedNorms, rows);
    return this;
  }

  /**
   * Adds router logits to their Gram matrix.
   *
   * @param logits row-major [tokens, experts]
   * @param rows number of rows
   */
  public Accumulator addLogits(float[] logits, int rows) {
    checkRows("router logits", logits.length, rows, experts);
    logitGram = orNew(logitGram, Triangle.entries(experts));
    for (int row = 0; row < rows; row++) {
      int base = row * experts;
      int at = 0;
      for (int i = 0; i < experts; i++) {
        double left = logits[base + i];
        for (int j = i; j < experts; j++) {
          logitGram[at++] += left * logits[base + j];
        }
      }
    }
    return this;
  }

  /** Counts requests whose first token is among those added. */
  public Accumulator addRequests(long started) {
    if (started < 0) {
      throw new IllegalArgumentException("requests must not be negative: " + started);
    }
    requests += started;
    return this;
  }

  /**
   * Adds what was added up elsewhere.
   *
   * @throws IllegalArgumentException if its shape differs
   */
  public Accumulator add(Usage usage) {
    if (usage.experts() != experts || usage.topK() != topK) {
      throw new IllegalArgumentException(
          "a layer of "
              + experts
              + " experts, top-"
              + topK
              + " can't take the usage of one of "
              + usage.experts()
              + " experts, top-"
              + usage.topK());
    }
    tokens += usage.tokens();
    requests += usage.requests();
    addAll(counts, usage.countsView());
    usage.coActivation().addTo(pairs);
    gateMass = addAll(gateMass, usage.gateMassView());
    logitGram = addAll(logitGram, usage.packedLogitGram());
    outputNorm = addAll(outputNorm, usage.outputNormView());
    return this;
  }

  /** What has been added so far; further additions don't change it. */
  public Usage build() {
    return new Usage(
        experts,
        topK,
        tokens,
        requests,
        counts.clone(),
        new CoActivation(experts, pairs.settled().clone()),
        clone(gateMass),
        clone(logitGram),
        clone(outputNorm));
  }

  private void addRows(int[] ids, int rows) {
    check(ids, rows);
    long[] ofPairs = pairs.array();
    for (int row = 0; row < rows; row++) {
      int begin = row * topK;
      int end = begin + topK;
      boolean chosen = false;
      for (int slot = begin; slot < end; slot++) {
        int expert = ids[slot];
        if (expert == PADDING) {
          continue;
        }
        chosen = true;
        counts[expert]++;
        for (int other = slot + 1; other < end; other++) {
          int second = ids[other];
          if (second != PADDING) {
            // Without a branch: which of the two is lower is as good as random.
            ofPairs[pairRow[Math.min(expert, second)] + Math.max(expert, second)]++;
          }
        }
      }
      if (chosen) {
        tokens++;
      }
    }
  }

  private void check(int[] ids, int rows) {
    for (int row = 0; row < rows; row++) {
      lastRow++;
      for (int slot = row * topK; slot < (row + 1) * topK; slot++) {
        int expert = ids[slot];
        if (expert == PADDING) {
          continue;
        }
        if (expert < 0 || expert >= experts) {
          throw new InvalidDecisionException(
              Reason.EXPERT_OUT_OF_RANGE,
              "row " + row + ": expert " + expert + " of a layer of " + experts + " experts");
        }
        if (seenInRow[expert] == lastRow) {
          throw new InvalidDecisionException(
              Reason.DUPLICATE_EXPERT, "row " + row + ": expert " + expert + " is chosen twice");
        }
        seenInRow[expert] = lastRow;
      }
    }
  }

  private void addWeighted(double[] sums, int[] ids, float[] weights, int rows) {
    for (int slot = 0; slot < rows * topK; slot++) {
      if (ids[slot] != PADDING) {
        sums[ids[slot]] += weights[slot];
      }
    }
  }

  private static void checkRows(String what, int length, int rows, int columns) {
    if (rows < 0 || (long) rows * columns > length) {
      throw new IllegalArgumentException(
          rows + " rows of " + columns + " " + what + " don't fit an array of " + length);
    }
  }

  private static double[] orNew(double @Nullable [] sums, int length) {
    return sums == null ? new double[length] : sums;
  }

  private static void addAll(long[] sums, long[] more) {
    for (int i = 0; i < sums.length; i++) {
      sums[i] += more[i];
    }
  }

  private static double @Nullable [] addAll(double @Nullable [] sums, double @Nullable [] more) {
    if (more == null) {
      return sums;
    }
    double[] result = orNew(sums, more.length);
    for (int i = 0; i < result.length; i++) {
      result[i] += more[i];
    }
    return result;
  }

  private static double @Nullable [] clone(double @Nullable [] values) {
    return values == null ? null : values.clone();
  }
}
