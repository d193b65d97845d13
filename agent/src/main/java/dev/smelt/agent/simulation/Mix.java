package dev.smelt.agent.simulation;

import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/**
 * Which kinds of text are asked for at a time, and how often. Each kind has a logit that is the sum
 * of what it has by nature, by hour of the day, by weekday or weekend, by a trend over the whole
 * time, by sudden shifts that last for weeks or for good, and by noise from hour to hour; the
 * shares are their softmax. A pure function of seed and time.
 */
final class Mix {

  private static final double NATURE = 0.5;
  private static final double DAY = 1.2;
  private static final double WEEKEND = 0.9;
  private static final double TREND = 1.0;
  private static final double SHIFT = 2.0;
  private static final double NOISE = 0.15;
  private static final int DAYS_BETWEEN_SHIFTS = 45;
  private static final int SHIFT_DAYS = 20;

  /** How steeply day turns into night: three quarters of the change take about two hours. */
  private static final double DUSK = 6;

  private static final double PEAK_HOUR = 14;
  private static final double NIGHT_REQUESTS = 0.35;

  private record Shift(Instant from, Instant until, int kind) {}

  private final long seed;
  private final Instant begin;
  private final Duration length;
  private final boolean stationary;
  private final double[] nature;
  private final double[] day;
  private final double[] weekend;
  private final double[] trend;
  private final List<Shift> shifts = new ArrayList<>();

  private Mix(long seed, Instant begin, Duration length, int kinds, boolean stationary) {
    this.seed = seed;
    this.begin = begin;
    this.length = length;
    this.stationary = stationary;
    SplittableRandom random = new SplittableRandom(seed);
    nature = gaussians(random, kinds, NATURE);
    day = gaussians(random, kinds, DAY);
    weekend = gaussians(random, kinds, WEEKEND);
    trend = gaussians(random, kinds, TREND);
    for (int shift = 0; shift < length.toDays() / DAYS_BETWEEN_SHIFTS; shift++) {
      Instant from = begin.plusSeconds((long) (random.nextDouble() * length.toSeconds()));
      boolean passes = random.nextBoolean();
      shifts.add(
          new Shift(
              from,
              passes ? from.plus(Duration.ofDays(SHIFT_DAYS)) : Instant.MAX,
              random.nextInt(kinds)));
    }
  }

  /** Traffic that changes in all these ways. */
  static Mix changing(long seed, Instant begin, Duration length, int kinds) {
    return new Mix(seed, begin, length, kinds, false);
  }

  /** Traffic in which each kind has the same share at all times; only its amount changes. */
  static Mix stationary(long seed, Instant begin, Duration length, int kinds) {
    return new Mix(seed, begin, length, kinds, true);
  }

  /** The share of each kind [kinds], summing to 1. */
  double[] shares(Instant at) {
    double[] logits = nature.clone();
    if (!stationary) {
      double daylight = daylight(at) - 0.5;
      double progress = (double) Duration.between(begin, at).toSeconds() / length.toSeconds() - 0.5;
      for (int kind = 0; kind < logits.length; kind++) {
        logits[kind] +=
            day[kind] * daylight
                + (isWeekend(at) ? weekend[kind] : 0)
                + trend[kind] * progress
                + noise(kind, at);
      }
      for (Shift shift : shifts) {
        if (!at.isBefore(shift.from()) && at.isBefore(shift.until())) {
          logits[shift.kind()] += SHIFT;
        }
      }
    }
    double[] shares = Arrays.stream(logits).map(Math::exp).toArray();
    double sum = Arrays.stream(shares).sum();
    return Arrays.stream(shares).map(share -> share / sum).toArray();
  }

  /** How much is asked for, as a share of the busiest hour. */
  double amount(Instant at) {
    return NIGHT_REQUESTS + (1 - NIGHT_REQUESTS) * daylight(at);
  }

  private static double daylight(Instant at) {
    ZonedDateTime time = at.atZone(ZoneOffset.UTC);
    double hour = time.getHour() + time.getMinute() / 60.0;
    return 1 / (1 + Math.exp(-DUSK * Math.cos(2 * Math.PI * (hour - PEAK_HOUR) / 24)));
  }

  private static boolean isWeekend(Instant at) {
    return at.atZone(ZoneOffset.UTC).getDayOfWeek().getValue() > 5;
  }

  /** Independent from hour to hour, with straight lines between. */
  private double noise(int kind, Instant at) {
    long hour = Math.floorDiv(at.getEpochSecond(), 3_600L);
    double within = Math.floorMod(at.getEpochSecond(), 3_600L) / 3_600.0;
    return NOISE * ((1 - within) * gaussian(kind, hour) + within * gaussian(kind, hour + 1));
  }

  private double gaussian(int kind, long hour) {
    return new SplittableRandom(seed + 31 * hour + 1_000_003L * kind).nextGaussian();
  }

  private static double[] gaussians(SplittableRandom random, int count, double scale) {
    double[] values = new double[count];
    Arrays.setAll(values, kind -> scale * random.nextGaussian());
    return values;
  }
}
