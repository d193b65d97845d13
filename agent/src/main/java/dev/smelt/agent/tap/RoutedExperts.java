package dev.smelt.agent.tap;

/**
 * The experts that the routers of some layers chose for consecutive tokens of one sequence.
 *
 * @param tokens rows, at least 0
 * @param layers layers of each row, at least 1
 * @param topK experts chosen by one router for one token, at least 1
 * @param ids expert ids, row-major {@code [tokens, layers, topK]}; {@link #PADDING} marks no
 *     decision
 */
@SuppressWarnings("ArrayRecordComponent") // a value that is read once, on a hot path
public record RoutedExperts(int tokens, int layers, int topK, int[] ids) {

  /** The id that stands for no decision. */
  public static final int PADDING = -1;

  public RoutedExperts {
    if (tokens < 0 || layers < 1 || topK < 1) {
      throw new IllegalArgumentException(
          "routed experts of shape [%d, %d, %d]".formatted(tokens, layers, topK));
    }
    if ((long) tokens * layers * topK != ids.length) {
      throw new IllegalArgumentException(
          "%d ids for routed experts of shape [%d, %d, %d]"
              .formatted(ids.length, tokens, layers, topK));
    }
  }

  /**
   * The decisions of one layer.
   *
   * @param layer index in {@code [0, layers)}
   * @return row-major {@code [tokens, topK]}
   */
  public int[] layer(int layer) {
    int[] chosen = new int[tokens * topK];
    for (int token = 0; token < tokens; token++) {
      System.arraycopy(ids, (token * layers + layer) * topK, chosen, token * topK, topK);
    }
    return chosen;
  }
}
