package dev.smelt.agent.compress;

import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * In which order an expert's hidden neurons are worth keeping when the down projection is fitted
 * again to those that are kept.
 *
 * <p>With the moments {@code H = sum g² h hᵀ} and {@code B = sum g² y hᵀ}, keeping the neurons K
 * and fitting leaves the expected squared error {@code tr(sum g² y yᵀ) - tr(B[:,K] H[K,K]⁻¹
 * B[:,K]ᵀ)}. Greedily the next neuron is the one that lowers it most: a Cholesky factorisation of
 * H, pivoted by {@code |P e_j|² / R[j,j]} with the remainders R of H and P of B. (Column subset
 * selection; MoDeGPT, arXiv 2408.09632, does so for dense models by H alone.)
 *
 * @param order neurons, the most worth keeping first
 * @param gains by how much each lowers the error when it joins those before it
 */
record NeuronRanking(int[] order, double[] gains) {

  static NeuronRanking of(ActivationFit fit) {
    return new Ranker(fit).rank();
  }

  /**
   * Pivoted Cholesky in place: R, of which the lower triangle is kept, and P shrink with every
   * neuron that is taken, whose row and column the last one's replace.
   */
  private static final class Ranker {
    private final int outputs;
    private final int width;
    private final double[] remainder;
    private final double[] effect;
    private final double[] squares;
    private final int[] neuronAt;
    private int left;

    Ranker(ActivationFit fit) {
      outputs = fit.cross().rows();
      width = fit.cross().cols();
      remainder = doubles(fit.moment().values());
      effect = doubles(fit.cross().values());
      squares = new double[width];
      neuronAt = IntStream.range(0, width).toArray();
      left = width;
    }

    NeuronRanking rank() {
      int[] order = new int[width];
      double[] gains = new double[width];
      double[] column = new double[width];
      subtract(new double[outputs], column);
      for (int step = 0; step < width; step++) {
        int best = 0;
        gains[step] = gain(best);
        for (int j = 1; j < left; j++) {
          double gain = gain(j);
          if (gain > gains[step]) {
            best = j;
            gains[step] = gain;
          }
        }
        order[step] = neuronAt[best];
        moveToEnd(best);
        eliminateLast(column);
      }
      return new NeuronRanking(order, gains);
    }

    private double gain(int j) {
      return squares[j] / Math.max(remainder[j * width + j], Double.MIN_NORMAL);
    }

    private void moveToEnd(int neuron) {
      int last = left - 1;
      if (neuron == last) {
        return;
      }
      for (int k = 0; k < neuron; k++) {
        swap(remainder, neuron * width + k, last * width + k);
      }
      for (int k = neuron + 1; k < last; k++) {
        swap(remainder, k * width + neuron, last * width + k);
      }
      swap(remainder, neuron * width + neuron, last * width + last);
      for (int i = 0; i < outputs; i++) {
        swap(effect, i * width + neuron, i * width + last);
      }
      neuronAt[neuron] = neuronAt[last];
    }

    private void eliminateLast(double[] column) {
      int last = --left;
      double root = Math.sqrt(Math.max(remainder[last * width + last], Double.MIN_NORMAL));
      for (int j = 0; j < left; j++) {
        column[j] = remainder[last * width + j] / root;
      }
      for (int i = 0; i < left; i++) {
        int at = i * width;
        double factor = column[i];
        for (int j = 0; j <= i; j++) {
          remainder[at + j] -= factor * column[j];
        }
      }
      double[] factors = new double[outputs];
      for (int i = 0; i < outputs; i++) {
        factors[i] = effect[i * width + last] / root;
      }
      subtract(factors, column);
    }

    /** Subtracts an outer product from P, and sums up the squares of the columns that are left. */
    private void subtract(double[] factors, double[] column) {
      Arrays.fill(squares, 0, left, 0);
      for (int i = 0; i < outputs; i++) {
        subtract(factors[i], column, i * width);
      }
    }

    private void subtract(double factor, double[] column, int at) {
      for (int j = 0; j < left; j++) {
        double rest = effect[at + j] - factor * column[j];
        effect[at + j] = rest;
        squares[j] += rest * rest;
      }
    }

    private static void swap(double[] values, int first, int second) {
      double value = values[first];
      values[first] = values[second];
      values[second] = value;
    }

    private static double[] doubles(float[] values) {
      double[] doubles = new double[values.length];
      for (int i = 0; i < values.length; i++) {
        doubles[i] = values[i];
      }
      return doubles;
    }
  }
}
