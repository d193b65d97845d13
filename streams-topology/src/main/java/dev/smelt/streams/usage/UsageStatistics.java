package dev.smelt.streams.usage;

import java.util.Optional;

/**
 * What planning needs to know about the traffic of one layer, whether counted ({@link Usage}) or
 * decayed over time (a profile).
 *
 * <p>Arrays are copies: [experts], or row-major [experts, experts] where it says so.
 */
public interface UsageStatistics {

  int experts();

  /** Experts chosen for each token. */
  int topK();

  /**
   * Share of each expert among all decisions: {@code c_e / sum(c)}; sums to 1. Uniform when there
   * is no decision at all.
   */
  double[] frequency();

  /**
   * Number (or decayed number) of tokens that chose both experts; symmetric; for {@code first ==
   * second}, the number of tokens that chose the expert.
   */
  double coActivation(int first, int second);

  /** Sum of the gate weights given to each expert, over the decisions whose weights are known. */
  Optional<double[]> gateMass();

  /**
   * {@code sum_t r_t r_t^T} over the tokens whose router logits {@code r} are known; row-major
   * [experts, experts].
   */
  Optional<double[]> logitGram();

  /** Sum of gate weight times norm of the expert's output, where the engine reports it. */
  Optional<double[]> outputNorm();
}
