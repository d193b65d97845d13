package dev.smelt.streams.drift;

/**
 * An expert whose share changed.
 *
 * @param expert its index in the layer
 * @param before its share in the baseline
 * @param now its share in the profile
 */
public record Mover(int expert, double before, double now) {

  public double change() {
    return now - before;
  }
}
