package dev.smelt.agent.bench;

/** Wall-clock times. */
final class Timing {

  private static final int ROUNDS = 5;
  private static final long NANOS = 1_000_000_000L;

  private Timing() {}

  /** Seconds of the fastest of some runs; the first ones, a second long, let it warm up. */
  static double fastest(Runnable work) {
    return fastest(ROUNDS, NANOS, work);
  }

  /** Seconds of the fastest of so many runs. */
  static double fastest(int rounds, Runnable work) {
    return fastest(rounds, 0, work);
  }

  private static double fastest(int rounds, long nanos, Runnable work) {
    double fastest = Double.POSITIVE_INFINITY;
    long first = System.nanoTime();
    for (int round = 0; round < rounds || System.nanoTime() - first < nanos; round++) {
      long began = System.nanoTime();
      work.run();
      fastest = Math.min(fastest, (System.nanoTime() - began) / 1e9);
    }
    return fastest;
  }
}
