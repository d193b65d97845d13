package dev.smelt.agent.inference;

import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.inference.MoeModel.Readout;
import java.util.List;

/**
 * A growing sequence: keys and values of what it has seen are kept, so that each further token
 * costs one position. For one thread at a time; stays with its model however many others are
 * loaded.
 */
public final class Decoder {

  private final MoeModel model;
  private final KeyValueCache cache;

  Decoder(MoeModel model, KeyValueCache cache) {
    this.model = model;
    this.cache = cache;
  }

  /** Tokens seen so far. */
  public int length() {
    return cache.length();
  }

  /**
   * Appends tokens.
   *
   * @return the logits after the last of them, one for each token id
   * @throws IllegalArgumentException if there are none, one is not in the vocabulary, or they
   *     exceed the capacity; the sequence is then as before
   */
  public float[] append(int[] tokens, ForwardObserver observer) {
    return forward(tokens, Readout.LAST, observer).values();
  }

  /**
   * Appends tokens.
   *
   * @return the logits after each of them, tokens x vocabulary
   * @throws IllegalArgumentException as {@link #append}
   */
  public Matrix appendScoring(int[] tokens, ForwardObserver observer) {
    return forward(tokens, Readout.ALL, observer);
  }

  private Matrix forward(int[] tokens, Readout readout, ForwardObserver observer) {
    if (tokens.length == 0) {
      throw new IllegalArgumentException("there are no tokens to append");
    }
    return model.forward(List.of(new Segment(cache, tokens)), readout, observer);
  }
}
