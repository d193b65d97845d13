package dev.smelt.agent.merge;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.compute.Transpose;
import dev.smelt.store.checkpoint.Role;
import java.util.Map;

/**
 * Finds the order of an expert's hidden neurons that is most like a reference expert's.
 *
 * <p>Maximises {@code sum_i K[i, p(i)]} with {@code K = W1_ref W1ᵀ + W3_ref W3ᵀ + W2_refᵀ W2} (Git
 * Re-Basin's weight matching, arXiv 2209.04836, for one layer; M-SMoE's appendix); biases of hidden
 * neurons count as a further column.
 */
public final class Aligner {

  private final Compute compute;

  public Aligner(Compute compute) {
    this.compute = compute;
  }

  /**
   * @return per neuron i of the reference the neuron p(i) of the member that takes its place
   * @throws java.util.concurrent.CancellationException when the thread is interrupted
   */
  public int[] permutation(ExpertWeights reference, ExpertWeights member) {
    int width = reference.width();
    return Assignment.greatestGain(width, width, likeness(reference, member).values());
  }

  /** K: how alike neuron i of the reference and neuron j of the member are, F x F. */
  public Matrix likeness(ExpertWeights reference, ExpertWeights member) {
    Matrix likeness = Matrix.zeros(reference.width(), member.width());
    for (Map.Entry<Role, Matrix> entry : reference.matrices().entrySet()) {
      Matrix ours = entry.getValue();
      Matrix theirs = member.matrix(entry.getKey());
      switch (entry.getKey()) {
        case GATE, UP -> compute.gemm(Transpose.NO, Transpose.YES, 1f, ours, theirs, 1f, likeness);
        case DOWN, GATE_BIAS, UP_BIAS ->
            compute.gemm(Transpose.YES, Transpose.NO, 1f, ours, theirs, 1f, likeness);
        case DOWN_BIAS -> {}
      }
    }
    return likeness;
  }
}
