package dev.smelt.agent.statistics;

import dev.smelt.agent.compute.Matrix;
import java.util.Optional;

/**
 * Second moments of one expert, summed over the tokens that were routed to it, each weighted by the
 * square of its gate weight g: so they weigh errors as the layer's output does.
 *
 * @param tokens how many tokens; a fraction where past ones count less
 * @param inputs {@code sum g² x xᵀ} of the layer's inputs, d x d, where they are recorded
 * @param activations {@code sum g² h hᵀ} of what enters the down projection, F x F
 */
public record ExpertMoments(double tokens, Optional<Matrix> inputs, Matrix activations) {

  static ExpertMoments zero(int hidden, int width) {
    return new ExpertMoments(
        0, Optional.of(Matrix.zeros(hidden, hidden)), Matrix.zeros(width, width));
  }

  /** Nothing recorded, and nothing to be recorded of the inputs. */
  static ExpertMoments zero(int width) {
    return new ExpertMoments(0, Optional.empty(), Matrix.zeros(width, width));
  }

  /**
   * The moments of both parts together; those of the inputs if both have them, or the one that has
   * not has seen no token.
   */
  public ExpertMoments plus(ExpertMoments other) {
    return new ExpertMoments(
        tokens + other.tokens, inputsWith(other), Sums.of(activations, other.activations));
  }

  private Optional<Matrix> inputsWith(ExpertMoments other) {
    if (inputs.isEmpty() && tokens == 0) {
      return other.inputs;
    }
    if (other.inputs.isEmpty() && other.tokens == 0) {
      return inputs;
    }
    return inputs.flatMap(own -> other.inputs.map(more -> Sums.of(own, more)));
  }

  /** The same with other moments of the inputs. */
  ExpertMoments with(Optional<Matrix> others) {
    return new ExpertMoments(tokens, others, activations);
  }

  /** The same traffic counted less: all sums times a factor. */
  ExpertMoments times(double factor) {
    return new ExpertMoments(
        tokens * factor,
        inputs.map(matrix -> Sums.scaled(matrix, factor)),
        Sums.scaled(activations, factor));
  }
}
