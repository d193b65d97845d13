package dev.smelt.engine;

import dev.smelt.agent.inference.ForwardObserver;
import dev.smelt.agent.inference.Routing;
import dev.smelt.agent.statistics.OriginalMoments;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;

/**
 * What the experts of each layer are given while one request runs: inputs, picks and gate weights.
 * It grows with the request. For one thread at a time.
 */
final class InputsRecording implements ForwardObserver {

  private final Map<Integer, Layer> layers = new TreeMap<>();

  private static final class Layer {
    private final Floats inputs = new Floats();
    private final Floats gates = new Floats();
    private int[] selected = new int[0];
    private int tokens;
  }

  /** Floats that are appended to. */
  private static final class Floats {
    private float[] values = new float[0];
    private int count;

    void append(float[] more, int length) {
      if (count + length > values.length) {
        values = Arrays.copyOf(values, Math.max(2 * values.length, count + length));
      }
      System.arraycopy(more, 0, values, count, length);
      count += length;
    }

    float[] all() {
      return Arrays.copyOf(values, count);
    }
  }

  @Override
  public void routed(Routing routing) {
    Layer layer = layers.computeIfAbsent(routing.layer(), first -> new Layer());
    int picks = routing.tokens() * routing.topK();
    layer.inputs.append(routing.inputs(), routing.inputs().length);
    layer.gates.append(routing.weights(), picks);
    int before = layer.selected.length;
    layer.selected = Arrays.copyOf(layer.selected, before + picks);
    System.arraycopy(routing.selected(), 0, layer.selected, before, picks);
    layer.tokens += routing.tokens();
  }

  int tokens() {
    return layers.values().stream().mapToInt(layer -> layer.tokens).max().orElse(0);
  }

  void addTo(OriginalMoments moments) {
    layers.forEach(
        (layer, seen) -> moments.add(layer, seen.inputs.all(), seen.selected, seen.gates.all()));
  }
}
