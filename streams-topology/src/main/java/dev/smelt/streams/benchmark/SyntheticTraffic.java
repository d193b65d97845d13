package dev.smelt.streams.benchmark;

import dev.smelt.streams.usage.Accumulator;
import dev.smelt.streams.usage.Usage;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.SplittableRandom;
import org.apache.commons.statistics.distribution.LogNormalDistribution;

/**
 * Routing of one layer as real requests cause it: a request is of one of a few kinds, each kind
 * prefers experts of its own, and each request deviates from its kind; so the decisions of a
 * request resemble each other much more than those of different requests. Seeded.
 */
public final class SyntheticTraffic {

  /** Kinds of requests before a shift; as many others come with it. */
  private static final double[] KIND_SHARES = {0.5, 0.3, 0.2};

  private static final double COMMON_SPREAD = 0.8;
  private static final double KIND_SPREAD = 0.8;
  private static final double REQUEST_SPREAD = 0.5;
  private static final double MEAN_REQUEST_TOKENS = 200;

  /** By how much a request deviates: equally likely values of a log-normal distribution. */
  private static final double[] DEVIATIONS = new double[1 << 12];

  static {
    LogNormalDistribution deviation = LogNormalDistribution.of(0, REQUEST_SPREAD);
    Arrays.setAll(
        DEVIATIONS, i -> deviation.inverseCumulativeProbability((i + 0.5) / DEVIATIONS.length));
  }

  private final Shape shape;
  private final SplittableRandom random;
  private final double[][] kindPreferences;
  private final double[] preferences;
  private final Choice choice;

  /** Windows that requests which have begun still reach into; the first is the next. */
  private final Deque<Accumulator> begun = new ArrayDeque<>();

  /**
   * What the traffic is like.
   *
   * @param experts experts of the layer
   * @param topK experts chosen for each token
   * @param tokensPerWindow mean number of tokens in a window
   * @param windowsPerRequest windows that a request lasts for
   */
  public record Shape(int experts, int topK, int tokensPerWindow, int windowsPerRequest) {}

  /** The kinds of requests that began in a window, and how long they are. */
  record Request(int kind, int tokens) {}

  public SyntheticTraffic(Shape shape, long seed) {
    this.shape = shape;
    random = new SplittableRandom(seed);
    kindPreferences = new double[2 * KIND_SHARES.length][shape.experts()];
    double[] common = new double[shape.experts()];
    Arrays.setAll(common, e -> COMMON_SPREAD * random.nextGaussian());
    for (double[] kind : kindPreferences) {
      Arrays.setAll(kind, e -> Math.exp(common[e] + KIND_SPREAD * random.nextGaussian()));
    }
    preferences = new double[shape.experts()];
    choice = new Choice(shape.experts());
    for (int window = 0; window < shape.windowsPerRequest(); window++) {
      begun.add(Usage.accumulator(shape.experts(), shape.topK()));
    }
  }

  /**
   * The usage of the next window.
   *
   * @param shifted share of the requests that are of new kinds
   */
  public Usage next(double shifted) {
    return next(requests(shifted));
  }

  /** Decisions of some tokens, row-major [tokens, topK], shared evenly by some requests. */
  static int[] ids(int experts, int topK, int tokens, int requests, long seed) {
    SyntheticTraffic traffic = new SyntheticTraffic(new Shape(experts, topK, tokens, 1), seed);
    int[] ids = new int[tokens * topK];
    int done = 0;
    for (int request = 0; request < requests; request++) {
      int length = (tokens - done) / (requests - request);
      traffic.prefer(traffic.kind());
      int[] ofRequest = traffic.ids(length);
      System.arraycopy(ofRequest, 0, ids, done * topK, ofRequest.length);
      done += length;
    }
    return ids;
  }

  /** Requests of one window, for several layers to route. */
  List<Request> requests(double shifted) {
    int count = Math.max(1, poisson(shape.tokensPerWindow() / MEAN_REQUEST_TOKENS));
    List<Request> requests = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      int kind = kind() + (random.nextDouble() < shifted ? KIND_SHARES.length : 0);
      int tokens = 1 + (int) (-Math.log(1 - random.nextDouble()) * MEAN_REQUEST_TOKENS);
      requests.add(new Request(kind, tokens));
    }
    return requests;
  }

  /** The usage of the next window, in which these requests begin. */
  Usage next(List<Request> requests) {
    for (Request request : requests) {
      route(request);
    }
    begun.add(Usage.accumulator(shape.experts(), shape.topK()));
    return begun.remove().addRequests(requests.size()).build();
  }

  private void route(Request request) {
    prefer(request.kind());
    int left = request.tokens();
    int windows = begun.size();
    for (Accumulator window : begun) {
      int tokens = left / windows--;
      left -= tokens;
      window.add(ids(tokens), tokens);
    }
  }

  /** Draws how much the next request prefers each expert. */
  private void prefer(int kind) {
    long bits = 0;
    for (int e = 0; e < preferences.length; e++) {
      bits = e % 5 == 0 ? random.nextLong() : bits >>> 12;
      preferences[e] = kindPreferences[kind][e] * DEVIATIONS[(int) bits & (DEVIATIONS.length - 1)];
    }
    choice.prepare(preferences);
  }

  private int[] ids(int tokens) {
    int topK = shape.topK();
    int[] ids = new int[tokens * topK];
    for (int token = 0; token < tokens; token++) {
      int begin = token * topK;
      for (int slot = begin; slot < begin + topK; slot++) {
        do {
          ids[slot] = choice.draw(random);
        } while (contains(ids, begin, slot));
      }
    }
    return ids;
  }

  private static boolean contains(int[] ids, int begin, int slot) {
    for (int earlier = begin; earlier < slot; earlier++) {
      if (ids[earlier] == ids[slot]) {
        return true;
      }
    }
    return false;
  }

  private int kind() {
    double point = random.nextDouble();
    for (int kind = 0; kind < KIND_SHARES.length - 1; kind++) {
      point -= KIND_SHARES[kind];
      if (point < 0) {
        return kind;
      }
    }
    return KIND_SHARES.length - 1;
  }

  private int poisson(double mean) {
    double limit = -mean;
    int count = -1;
    double product = 0;
    do {
      product += Math.log(1 - random.nextDouble());
      count++;
    } while (product > limit);
    return count;
  }
}
