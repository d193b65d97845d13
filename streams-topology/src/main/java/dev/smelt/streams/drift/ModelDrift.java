package dev.smelt.streams.drift;

import java.time.Instant;
import java.util.List;

/**
 * How far a model's traffic is from the baselines of its layers. It has drifted if any layer has,
 * by the Benjamini-Hochberg procedure over the layers' p-values; the layer whose p-value is lowest
 * is the one that decides, and gives value and threshold.
 *
 * @param model name of the model
 * @param snapshot the snapshot of the deciding layer's baseline; empty without one
 * @param windowStart first instant of the window
 * @param windowEnd first instant after it
 * @param decidingLayer the layer whose drift is most certain
 * @param value the deciding layer's corrected distance, of its profile or of its window, whichever
 *     is more certain
 * @param threshold that distance's threshold
 * @param meanValue mean over the judged layers of the corrected distance of their profiles; 0
 *     without any
 * @param tokens tokens in the window, in the layer that saw most
 * @param requests requests that began in the window, in the layer that saw most
 * @param effectiveRequests independent requests behind the deciding layer's profile
 * @param layers layers that reported
 * @param judgedLayers layers that could be judged
 * @param breachedLayers layers that have drifted
 * @param breached true if there is any
 */
public record ModelDrift(
    String model,
    String snapshot,
    Instant windowStart,
    Instant windowEnd,
    String decidingLayer,
    double value,
    double threshold,
    double meanValue,
    long tokens,
    long requests,
    double effectiveRequests,
    int layers,
    int judgedLayers,
    List<String> breachedLayers,
    boolean breached)
    implements Drift {

  public ModelDrift {
    breachedLayers = List.copyOf(breachedLayers);
  }

  @Override
  public String topicKey() {
    return model;
  }
}
