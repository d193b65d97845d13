package dev.smelt.streams.benchmark;

import dev.smelt.streams.benchmark.SyntheticTraffic.Shape;
import dev.smelt.streams.drift.DriftSettings;
import dev.smelt.streams.drift.JensenShannon;
import dev.smelt.streams.drift.LayerEvidence;
import dev.smelt.streams.drift.ModelVerdict;
import dev.smelt.streams.drift.Reference;
import dev.smelt.streams.profile.Baseline;
import dev.smelt.streams.profile.Profile;
import dev.smelt.streams.usage.LayerKey;
import dev.smelt.streams.usage.Usage;
import dev.smelt.streams.usage.UsageWindow;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.stream.IntStream;

/**
 * How often drift is seen where there is none, and how soon where there is; for this detector, and
 * for the two rules of thumb that it replaces, on the same windows: Jensen-Shannon distance of the
 * window of at least 0.1, and population stability index of at least 0.2.
 */
public final class DriftBenchmark {

  /** Half-life of the profile, in windows: that of the defaults. */
  private static final int HALF_LIFE_WINDOWS = 30;

  /** Lines of a result. */
  public static final int LINES = 11;

  private static final Duration WINDOW = Duration.ofSeconds(10);
  private static final int WARM_UP_WINDOWS = 60;
  private static final double JENSEN_SHANNON_RULE = 0.1;
  private static final double STABILITY_INDEX_RULE = 0.2;

  /** A detector: the first is ours. */
  public enum Rule {
    SMELT,
    JENSEN_SHANNON,
    STABILITY_INDEX
  }

  /**
   * How much to measure.
   *
   * @param streams independent streams without drift, each with a baseline of its own
   * @param windows windows in each
   * @param trials shifts of each size
   * @param patience windows after which a shift counts as missed
   * @param seed of everything
   */
  public record Extent(int streams, int windows, int trials, int patience, long seed) {

    /** A few minutes on one core. */
    public static final Extent FULL = new Extent(40, 250, 21, 200, 20260301);

    /** Large windows take longer and vary less: fewer streams will do. */
    private Extent sizedFor(Shape shape) {
      double factor = Math.sqrt(10_000.0 / shape.tokensPerWindow());
      return new Extent(
          (int) Math.max(1, Math.round(streams * Math.min(4, factor))),
          windows,
          (int) Math.max(1, Math.round(trials * Math.min(1, 1.5 * factor))),
          patience,
          seed);
    }
  }

  /** Shifts whose delay is measured, as shares of the requests. */
  private static final List<Double> SHIFTS = List.of(0.05, 0.10, 0.25, 0.50);

  /**
   * One line of the result.
   *
   * @param shape the traffic of each layer
   * @param layers layers under the same requests, judged together
   * @param falseAlarms without drift
   * @param delays for each size of shift; none if only false alarms were asked for
   */
  public record Line(Shape shape, int layers, FalseAlarms falseAlarms, List<Delays> delays) {

    public Line {
      delays = List.copyOf(delays);
    }
  }

  /**
   * False alarms.
   *
   * @param windows windows without drift that were judged
   * @param alarms windows that each rule called drifted
   */
  public record FalseAlarms(long windows, long[] alarms) {

    public double perThousand(Rule rule) {
      return 1000.0 * alarms[rule.ordinal()] / windows;
    }
  }

  /**
   * Delays until a shift is seen, in windows; the window of the shift is 1.
   *
   * @param shift share of the requests that are of new kinds from one window to the next
   * @param delays for each rule, one for each trial, ascending; {@link Integer#MAX_VALUE} if missed
   */
  public record Delays(double shift, int[][] delays) {

    public int median(Rule rule) {
      int[] ordered = delays[rule.ordinal()];
      return ordered[ordered.length / 2];
    }

    public int ninthDecile(Rule rule) {
      int[] ordered = delays[rule.ordinal()];
      return ordered[ordered.length * 9 / 10];
    }

    public long missed(Rule rule) {
      return Arrays.stream(delays[rule.ordinal()])
          .filter(delay -> delay == Integer.MAX_VALUE)
          .count();
    }
  }

  private final DriftSettings settings;
  private final Extent extent;

  public DriftBenchmark(DriftSettings settings, Extent extent) {
    this.settings = settings;
    this.extent = extent;
  }

  /**
   * Measures layers of 8, 64 and 256 experts at 1,000, 10,000 and 100,000 tokens a window; then a
   * model of 32 layers, and requests that last for three windows.
   *
   * @param progress told of each line as it is done
   */
  public List<Line> run(Consumer<Line> progress) {
    List<Line> lines = new ArrayList<>();
    for (int experts : List.of(8, 64, 256)) {
      for (int tokens : List.of(1_000, 10_000, 100_000)) {
        Shape shape = new Shape(experts, 2, tokens, 1);
        List<Delays> delays = SHIFTS.stream().map(shift -> delays(shape, shift)).toList();
        lines.add(new Line(shape, 1, falseAlarms(shape, 1), delays));
        progress.accept(lines.get(lines.size() - 1));
      }
    }
    Shape ofModel = new Shape(64, 8, 10_000, 1);
    lines.add(new Line(ofModel, 32, falseAlarms(ofModel, 32), List.of()));
    progress.accept(lines.get(lines.size() - 1));
    Shape lasting = new Shape(64, 2, 10_000, 3);
    lines.add(new Line(lasting, 1, falseAlarms(lasting, 1), List.of()));
    progress.accept(lines.get(lines.size() - 1));
    return lines;
  }

  /** Counts alarms while nothing drifts. */
  FalseAlarms falseAlarms(Shape shape, int layers) {
    Extent sized = extent.sizedFor(shape);
    int streams = Math.max(4, sized.streams() / layers);
    long[] alarms =
        IntStream.range(0, streams)
            .parallel()
            .mapToObj(stream -> alarms(new Model(shape, layers, extent.seed() + stream)))
            .reduce(new long[Rule.values().length], DriftBenchmark::sum);
    return new FalseAlarms((long) streams * extent.windows(), alarms);
  }

  private long[] alarms(Model model) {
    long[] alarms = new long[Rule.values().length];
    model.warmUp();
    for (int window = 0; window < extent.windows(); window++) {
      boolean[] called = model.next(0);
      for (int rule = 0; rule < alarms.length; rule++) {
        alarms[rule] += called[rule] ? 1 : 0;
      }
    }
    return alarms;
  }

  private static long[] sum(long[] some, long[] others) {
    long[] sum = new long[some.length];
    Arrays.setAll(sum, i -> some[i] + others[i]);
    return sum;
  }

  /** Measures how soon a sudden shift is seen. */
  Delays delays(Shape shape, double shift) {
    int trials = extent.sizedFor(shape).trials();
    int[][] ofTrials =
        IntStream.range(0, trials)
            .parallel()
            .mapToObj(trial -> delays(new Model(shape, 1, extent.seed() + 1000 + trial), shift))
            .toArray(int[][]::new);
    int[][] delays = new int[Rule.values().length][trials];
    for (int rule = 0; rule < delays.length; rule++) {
      int at = rule;
      delays[rule] = Arrays.stream(ofTrials).mapToInt(trial -> trial[at]).sorted().toArray();
    }
    return new Delays(shift, delays);
  }

  private int[] delays(Model model, double shift) {
    int[] delays = new int[Rule.values().length];
    Arrays.fill(delays, Integer.MAX_VALUE);
    model.warmUp();
    for (int window = 1; window <= extent.patience(); window++) {
      boolean[] called = model.next(shift);
      boolean all = true;
      for (int rule = 0; rule < delays.length; rule++) {
        if (called[rule]) {
          delays[rule] = Math.min(delays[rule], window);
        }
        all &= delays[rule] != Integer.MAX_VALUE;
      }
      if (all) {
        break;
      }
    }
    return delays;
  }

  /** Population stability index with the usual floor for empty bins. */
  static double stabilityIndex(double[] now, double[] before) {
    double sum = 0;
    for (int e = 0; e < now.length; e++) {
      double p = Math.max(now[e], 1e-4);
      double q = Math.max(before[e], 1e-4);
      sum += (p - q) * Math.log(p / q);
    }
    return sum;
  }

  /** The layers of a model under the same requests. */
  private final class Model {

    private final List<Layer> layers;
    private final SyntheticTraffic requests;

    Model(Shape shape, int layers, long seed) {
      this.layers =
          IntStream.range(0, layers)
              .mapToObj(layer -> new Layer(shape, layer, seed * 1000 + layer))
              .toList();
      requests = new SyntheticTraffic(shape, seed);
    }

    void warmUp() {
      for (int window = 0; window < WARM_UP_WINDOWS; window++) {
        next(0);
      }
      layers.forEach(Layer::takeBaseline);
    }

    boolean[] next(double shift) {
      List<SyntheticTraffic.Request> began = requests.requests(shift);
      boolean[] called = new boolean[Rule.values().length];
      List<LayerEvidence> evidence = new ArrayList<>();
      for (Layer layer : layers) {
        evidence.add(layer.next(began, called));
      }
      called[Rule.SMELT.ordinal()] = ModelVerdict.of(evidence, settings).model().breached();
      return called;
    }
  }

  private final class Layer {

    private final SyntheticTraffic traffic;
    private final LayerKey key;
    private Reference reference;
    private Optional<Profile> profile = Optional.empty();
    private Optional<Baseline> baseline = Optional.empty();
    private Instant now = Instant.EPOCH;

    Layer(Shape shape, int layer, long seed) {
      traffic = new SyntheticTraffic(shape, seed);
      key = new LayerKey("synthetic", "layer-" + layer);
      reference = Reference.empty(shape.experts());
    }

    void takeBaseline() {
      baseline = profile.map(current -> Baseline.of(current, "snapshot", now));
    }

    LayerEvidence next(List<SyntheticTraffic.Request> began, boolean[] called) {
      Usage usage = traffic.next(began);
      UsageWindow window = new UsageWindow(key, now, now.plus(WINDOW), usage, 1, 0, 0, 0);
      now = window.end();
      Profile updated =
          profile
              .map(known -> known.plus(window, WINDOW.multipliedBy(HALF_LIFE_WINDOWS)))
              .orElseGet(() -> Profile.of(window));
      profile = Optional.of(updated);
      reference =
          reference.observe(
              usage.frequency(), Profile.independentRequests(usage), updated.frequency(), settings);
      baseline.ifPresent(
          before -> {
            double[] shares = usage.frequency();
            called[Rule.JENSEN_SHANNON.ordinal()] |=
                JensenShannon.distance(shares, before.frequency()) >= JENSEN_SHANNON_RULE;
            called[Rule.STABILITY_INDEX.ordinal()] |=
                stabilityIndex(shares, before.frequency()) >= STABILITY_INDEX_RULE;
          });
      return LayerEvidence.of(window, updated, reference, baseline, settings);
    }
  }
}
