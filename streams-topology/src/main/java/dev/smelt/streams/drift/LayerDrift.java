package dev.smelt.streams.drift;

import dev.smelt.streams.usage.LayerKey;
import java.time.Instant;
import java.util.List;

/**
 * How far one layer's traffic is from its baseline.
 *
 * @param key model and layer
 * @param snapshot the snapshot whose baseline was compared with; empty without one
 * @param windowStart first instant of the window
 * @param windowEnd first instant after it
 * @param status whether it could be judged
 * @param profile the distance of the profile (fading memory): finds small shifts
 * @param window the distance of the window alone: finds large shifts at once
 * @param tokens tokens in the window
 * @param requests requests that began in the window
 * @param effectiveRequests independent requests behind the profile
 * @param referenceWindows windows that the ordinary variation was estimated from
 * @param breached true if either distance reaches its threshold
 * @param movers the experts whose share changed most, the largest change first
 */
public record LayerDrift(
    LayerKey key,
    String snapshot,
    Instant windowStart,
    Instant windowEnd,
    Status status,
    Distance profile,
    Distance window,
    long tokens,
    long requests,
    double effectiveRequests,
    int referenceWindows,
    boolean breached,
    List<Mover> movers)
    implements Drift {

  public LayerDrift {
    movers = List.copyOf(movers);
  }

  @Override
  public String model() {
    return key.model();
  }

  @Override
  public double value() {
    return profile.value();
  }

  @Override
  public double threshold() {
    return profile.threshold();
  }

  @Override
  public String topicKey() {
    return key.toString();
  }
}
