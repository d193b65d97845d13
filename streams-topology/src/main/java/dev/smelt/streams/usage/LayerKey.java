package dev.smelt.streams.usage;

/**
 * A layer of a served model: the key of every topic and store, as text {@code model/layer}.
 *
 * @param model name of the model; may hold slashes itself
 * @param layer name of the MoE block, such as {@code model.layers.0.block_sparse_moe}; no slashes
 */
public record LayerKey(String model, String layer) implements Comparable<LayerKey> {

  public LayerKey {
    if (model.isBlank() || layer.isBlank() || layer.indexOf('/') >= 0) {
      throw new IllegalArgumentException(
          "a layer key needs a model and a layer without slashes, not '"
              + model
              + "' and '"
              + layer
              + "'");
    }
  }

  /**
   * Reads {@code model/layer}; the layer is what follows the last slash.
   *
   * @throws IllegalArgumentException if the text has no such form
   */
  public static LayerKey parse(String text) {
    int slash = text.lastIndexOf('/');
    if (slash < 0) {
      throw new IllegalArgumentException(
          "a layer key has the form model/layer, not '" + text + "'");
    }
    return new LayerKey(text.substring(0, slash), text.substring(slash + 1));
  }

  /** True if the text is that of this key. */
  public boolean isWritten(String text) {
    int slash = model.length();
    return text.length() == slash + 1 + layer.length()
        && text.charAt(slash) == '/'
        && text.startsWith(model)
        && text.endsWith(layer);
  }

  @Override
  public int compareTo(LayerKey other) {
    return toString().compareTo(other.toString());
  }

  @Override
  public String toString() {
    return model + "/" + layer;
  }
}
