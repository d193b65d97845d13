package dev.smelt.agent.control;

import java.time.Instant;
import java.util.List;

/**
 * The drift of a model in one closed window.
 *
 * @param end when the window closed, in the time of the traffic
 * @param value Jensen-Shannon distance, base 2, corrected for sample size
 * @param threshold over which the window counts as breached
 * @param breached whether it does
 * @param tokens tokens in the window
 * @param requests requests in the window
 * @param layers the same for each MoE block
 */
public record DriftPoint(
    Instant end,
    double value,
    double threshold,
    boolean breached,
    long tokens,
    long requests,
    List<Layer> layers) {

  /** One MoE block in one window. */
  public record Layer(String block, double value, double threshold, boolean breached) {}
}
