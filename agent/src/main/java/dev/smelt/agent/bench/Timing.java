package dev.smelt.agent.bench;

/** Wall-clock times. */
final class Timing {

  private static final int ROUNDS = 5;

  private Timing() {}

  /** Seconds of the fastest of some runs, the first of which warms up. */
  static double fastest(Runnable work) {
    return fastest(ROUNDS, work);
  }

  /** Seconds of the fastest of so many runs. */
  static double fastest(int rounds, Runnable work) {
    double fastest = Double.POSITIVE_INFINITY;
    for (int round = 0; round < rounds; round++) {
      long began = System.nanoTime();
      work.run();
      fastest = Math.min(fastest, (System.nanoTime() - began) / 1e9);
    }
    return fastest;
  }
}
