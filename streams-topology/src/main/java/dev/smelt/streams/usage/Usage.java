package dev.smelt.streams.usage;

import java.util.Arrays;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The additive statistics of one layer over some tokens (algorithm, section 1). Windows, partitions
 * and replicas merge by {@link #plus}, which is associative and commutative (exactly for the
 * counts, up to rounding for the sums of doubles). Immutable.
 *
 * <p>{@code requests} counts requests whose first token is among these tokens, so that the parts of
 * one long request add up to one.
 */
public final class Usage implements UsageStatistics {

  /** Largest number of experts in a layer. */
  public static final int MAX_EXPERTS = 512;

  /** Largest number of experts chosen for a token. */
  public static final int MAX_TOP_K = 16;

  private final int experts;
  private final int topK;
  private final long tokens;
  private final long requests;
  private final long[] counts;
  private final CoActivation coActivation;
  private final double @Nullable [] gateMass;
  private final double @Nullable [] logitGram;
  private final double @Nullable [] outputNorm;

  /**
   * The arrays are not copied: the caller gives them away. {@code logitGram} is a packed triangle.
   */
  Usage(
      int experts,
      int topK,
      long tokens,
      long requests,
      long[] counts,
      CoActivation coActivation,
      double @Nullable [] gateMass,
      double @Nullable [] logitGram,
      double @Nullable [] outputNorm) {
    checkShape(experts, topK);
    if (tokens < 0 || requests < 0) {
      throw new IllegalArgumentException(
          "tokens and requests must not be negative: " + tokens + ", " + requests);
    }
    checkLength("counts", counts.length, experts);
    checkLength("co-activation", coActivation.experts(), experts);
    if (gateMass != null) {
      checkLength("gate mass", gateMass.length, experts);
    }
    if (logitGram != null) {
      checkLength("logit Gram", logitGram.length, Triangle.entries(experts));
    }
    if (outputNorm != null) {
      checkLength("output norm", outputNorm.length, experts);
    }
    this.experts = experts;
    this.topK = topK;
    this.tokens = tokens;
    this.requests = requests;
    this.counts = counts;
    this.coActivation = coActivation;
    this.gateMass = gateMass;
    this.logitGram = logitGram;
    this.outputNorm = outputNorm;
  }

  /** No tokens at all. */
  public static Usage empty(int experts, int topK) {
    checkShape(experts, topK);
    return new Usage(
        experts,
        topK,
        0,
        0,
        new long[experts],
        new CoActivation(experts, new long[Triangle.pairs(experts)]),
        null,
        null,
        null);
  }

  /**
   * What was added up elsewhere, such as inside an engine.
   *
   * @param topK experts chosen for each token
   * @param counts how often each expert was among the chosen; [experts]
   * @param coActivation row-major [experts, experts], of which the entries above the diagonal are
   *     read
   * @param gateMass [experts]
   * @param logitGram row-major [experts, experts], of which the upper triangle is read
   * @param outputNorm [experts]
   * @throws IllegalArgumentException if a length is wrong, a sum is not finite, or the counts
   *     contradict each other
   */
  public static Usage ofSums(
      int topK,
      long tokens,
      long requests,
      long[] counts,
      long[] coActivation,
      Optional<double[]> gateMass,
      Optional<double[]> logitGram,
      Optional<double[]> outputNorm) {
    int experts = counts.length;
    checkShape(experts, topK);
    checkLength("co-activation", coActivation.length, experts * experts);
    logitGram.ifPresent(gram -> checkLength("logit Gram", gram.length, experts * experts));
    Usage usage =
        new Usage(
            experts,
            topK,
            tokens,
            requests,
            counts.clone(),
            new CoActivation(experts, Triangle.packPairs(experts, coActivation)),
            gateMass.map(double[]::clone).orElse(null),
            logitGram.map(gram -> Triangle.pack(experts, gram)).orElse(null),
            outputNorm.map(double[]::clone).orElse(null));
    usage
        .contradiction()
        .ifPresent(
            contradiction -> {
              throw new IllegalArgumentException(contradiction);
            });
    return usage;
  }

  /** Something to add decisions to, one after another. */
  public static Accumulator accumulator(int experts, int topK) {
    return new Accumulator(experts, topK);
  }

  static void checkShape(int experts, int topK) {
    if (experts < 1 || experts > MAX_EXPERTS) {
      throw new IllegalArgumentException(
          "a layer has 1 to " + MAX_EXPERTS + " experts, not " + experts);
    }
    if (topK < 1 || topK > Math.min(MAX_TOP_K, experts)) {
      throw new IllegalArgumentException(
          "top-k of a layer of "
              + experts
              + " experts is 1 to "
              + Math.min(MAX_TOP_K, experts)
              + ", not "
              + topK);
    }
  }

  private static void checkLength(String what, int actual, int expected) {
    if (actual != expected) {
      throw new IllegalArgumentException(what + " has " + actual + " values, expected " + expected);
    }
  }

  private static boolean finite(double @Nullable [] values) {
    return values == null || Arrays.stream(values).allMatch(Double::isFinite);
  }

  /** Why no router can have made these decisions, if it cannot. */
  public Optional<String> contradiction() {
    for (int expert = 0; expert < experts; expert++) {
      if (counts[expert] < 0 || counts[expert] > tokens) {
        return Optional.of(
            "expert " + expert + " has " + counts[expert] + " of " + tokens + " tokens");
      }
    }
    long decisions = decisions();
    if (decisions < tokens || decisions > tokens * topK) {
      return Optional.of(decisions + " decisions of " + tokens + " tokens, top-" + topK);
    }
    long pairs = coActivation.total();
    if (pairs < 0 || pairs > tokens * topK * (topK - 1) / 2) {
      return Optional.of(pairs + " pairs of " + tokens + " tokens, top-" + topK);
    }
    if (!finite(gateMass) || !finite(logitGram) || !finite(outputNorm)) {
      return Optional.of("a sum of gate weights, router logits or output norms is not finite");
    }
    return Optional.empty();
  }

  @Override
  public int experts() {
    return experts;
  }

  @Override
  public int topK() {
    return topK;
  }

  /** Tokens that were routed; padding is not counted. */
  public long tokens() {
    return tokens;
  }

  public long requests() {
    return requests;
  }

  /** Number of (token, chosen expert) pairs. */
  public long decisions() {
    long sum = 0;
    for (long count : counts) {
      sum += count;
    }
    return sum;
  }

  /** How often each expert was among the chosen; [experts]. */
  public long[] counts() {
    return counts.clone();
  }

  /** How often one expert was among the chosen. */
  public long count(int expert) {
    return counts[expert];
  }

  public CoActivation coActivation() {
    return coActivation;
  }

  @Override
  public double coActivation(int first, int second) {
    return first == second ? counts[first] : coActivation.count(first, second);
  }

  @Override
  public Optional<double[]> gateMass() {
    return copy(gateMass);
  }

  @Override
  public Optional<double[]> logitGram() {
    return logitGram == null ? Optional.empty() : Optional.of(Triangle.unpack(experts, logitGram));
  }

  @Override
  public Optional<double[]> outputNorm() {
    return copy(outputNorm);
  }

  @Override
  public double[] frequency() {
    double[] frequency = new double[experts];
    long sum = decisions();
    for (int expert = 0; expert < experts; expert++) {
      frequency[expert] = sum == 0 ? 1.0 / experts : (double) counts[expert] / sum;
    }
    return frequency;
  }

  /**
   * The usage of both parts together. An optional sum that only one part knows stays: it is then a
   * sum over fewer tokens.
   *
   * @throws IllegalArgumentException if the layers' shapes differ
   */
  public Usage plus(Usage other) {
    checkSameShape(other);
    return new Usage(
        experts,
        topK,
        tokens + other.tokens,
        requests + other.requests,
        sum(counts, other.counts),
        coActivation.plus(other.coActivation),
        sum(gateMass, other.gateMass),
        sum(logitGram, other.logitGram),
        sum(outputNorm, other.outputNorm));
  }

  private void checkSameShape(Usage other) {
    if (other.experts != experts || other.topK != topK) {
      throw new IllegalArgumentException(
          "a layer of "
              + experts
              + " experts, top-"
              + topK
              + " can't take the usage of one of "
              + other.experts
              + " experts, top-"
              + other.topK);
    }
  }

  static long[] sum(long[] left, long[] right) {
    long[] sum = left.clone();
    for (int i = 0; i < sum.length; i++) {
      sum[i] += right[i];
    }
    return sum;
  }

  private static double @Nullable [] sum(double @Nullable [] left, double @Nullable [] right) {
    if (left == null || right == null) {
      return left == null ? right : left;
    }
    double[] sum = left.clone();
    for (int i = 0; i < sum.length; i++) {
      sum[i] += right[i];
    }
    return sum;
  }

  private static Optional<double[]> copy(double @Nullable [] values) {
    return Optional.ofNullable(values).map(double[]::clone);
  }

  long[] countsView() {
    return counts;
  }

  double @Nullable [] gateMassView() {
    return gateMass;
  }

  double @Nullable [] packedLogitGram() {
    return logitGram;
  }

  double @Nullable [] outputNormView() {
    return outputNorm;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Usage that
        && experts == that.experts
        && topK == that.topK
        && tokens == that.tokens
        && requests == that.requests
        && Arrays.equals(counts, that.counts)
        && coActivation.equals(that.coActivation)
        && Arrays.equals(gateMass, that.gateMass)
        && Arrays.equals(logitGram, that.logitGram)
        && Arrays.equals(outputNorm, that.outputNorm);
  }

  @Override
  public int hashCode() {
    return 31 * Arrays.hashCode(counts) + Long.hashCode(tokens);
  }

  @Override
  public String toString() {
    return "Usage[experts="
        + experts
        + ", topK="
        + topK
        + ", tokens="
        + tokens
        + ", requests="
        + requests
        + ", counts="
        + Arrays.toString(counts)
        + "]";
  }
}
