package dev.smelt.agent.bench;

import java.util.Arrays;
import java.util.List;

/** Wall-clock times. */
final class Timing {

  private static final int ROUNDS = 5;
  private static final long NANOS = 1_000_000_000L;

  private Timing() {}

  /** Seconds of the fastest of some runs; the first ones, a second long, let it warm up. */
  static double fastest(Runnable work) {
    double fastest = Double.POSITIVE_INFINITY;
    long first = System.nanoTime();
    for (int round = 0; round < ROUNDS || System.nanoTime() - first < NANOS; round++) {
      fastest = Math.min(fastest, seconds(work));
    }
    return fastest;
  }

  /**
   * Seconds of the fastest of so many runs of each, in turns, so that a machine that is slower for
   * a while is so for all of them.
   */
  static double[] fastest(int rounds, List<Runnable> works) {
    double[] fastest = new double[works.size()];
    Arrays.fill(fastest, Double.POSITIVE_INFINITY);
    for (int round = 0; round < rounds; round++) {
      for (int work = 0; work < fastest.length; work++) {
        fastest[work] = Math.min(fastest[work], seconds(works.get(work)));
      }
    }
    return fastest;
  }

  private static double seconds(Runnable work) {
    long began = System.nanoTime();
    work.run();
    return (System.nanoTime() - began) / 1e9;
  }
}
