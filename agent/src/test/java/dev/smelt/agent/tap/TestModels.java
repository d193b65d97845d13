package dev.smelt.agent.tap;

import java.util.stream.IntStream;

final class TestModels {

  private TestModels() {}

  /** A model whose every layer has experts. */
  static TappedModel model(int layers, int experts, int topK) {
    return new TappedModel(
        "tiny",
        layers,
        IntStream.range(0, layers)
            .mapToObj(layer -> new TappedModel.Block(name(layer), layer, experts, topK))
            .toList());
  }

  static String name(int layer) {
    return "model.layers." + layer + ".block_sparse_moe";
  }
}
