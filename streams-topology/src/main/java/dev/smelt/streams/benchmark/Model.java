package dev.smelt.streams.benchmark;

import java.util.List;

/**
 * A model whose routing is sent.
 *
 * @param name of the model
 * @param layers layers that route
 * @param experts experts of each
 * @param topK experts chosen for each token
 */
public record Model(String name, int layers, int experts, int topK) {

  public static final List<Model> ALL =
      List.of(
          new Model("mixtral", 32, 8, 2),
          new Model("qwen3-30b", 48, 128, 8),
          new Model("deepseek-v3", 58, 256, 8));
}
