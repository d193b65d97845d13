package dev.smelt.agent.simulation;

import java.time.Duration;
import java.time.Instant;

/** Adds up a run window by window. */
final class Tally {

  private final int windowsAnHour;
  private long requests;
  private long byFullModel;
  private double loss;
  private double regret;
  private Instant hour = Instant.EPOCH;
  private int windows;
  private long hourRequests;
  private double hourRegret;
  private double worst;
  private Instant worstHour = Instant.EPOCH;

  Tally(Duration window) {
    windowsAnHour = (int) Duration.ofHours(1).dividedBy(window);
  }

  /**
   * @param lost bits per byte over the full model
   * @param least what the best snapshot would have lost
   */
  void add(Instant start, int count, double lost, double least, boolean fullModel) {
    requests += count;
    byFullModel += fullModel ? count : 0;
    loss += count * lost;
    double over = fullModel ? 0 : lost - least;
    regret += count * over;
    if (windows % windowsAnHour == 0) {
      hour = start;
      hourRequests = 0;
      hourRegret = 0;
    }
    windows++;
    hourRequests += count;
    hourRegret += count * over;
    if (windows % windowsAnHour == 0 && hourRequests > 0 && hourRegret / hourRequests > worst) {
      worst = hourRegret / hourRequests;
      worstHour = hour;
    }
  }

  Figures figures(Run run) {
    return new Figures(
        run.way(),
        loss / requests,
        run.remerges(),
        run.skipped(),
        run.recalls(),
        run.rollbacks(),
        (double) byFullModel / requests,
        regret / requests,
        worst,
        worstHour);
  }
}
