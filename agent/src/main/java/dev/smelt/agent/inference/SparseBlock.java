package dev.smelt.agent.inference;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Weights;
import java.util.Arrays;
import java.util.List;

/**
 * A router and its experts. The router always has an output for each original expert; a map leads
 * from there to the experts that are left.
 *
 * @param layer index of the block in the model
 * @param router [router outputs, hidden]
 * @param map the expert that each router output leads to, {@link #MASKED} for none
 * @param width the most hidden neurons that an expert has
 * @param experts what is left
 */
record SparseBlock(
    int layer, int topK, int hidden, int width, Weights router, int[] map, List<Expert> experts) {

  /** In the map: never picked, as if its router output were minus infinity. */
  static final int MASKED = -1;

  /**
   * Routes each row to its experts and adds up their weighted outputs.
   *
   * @param x normed inputs, rows x hidden
   * @param into rows x hidden, overwritten
   */
  void apply(Compute compute, int rows, float[] x, float[] into, ForwardObserver observer) {
    int outputs = router.rows();
    float[] logits = new float[rows * outputs];
    compute.project(router, rows, x, logits);
    int[] selected = new int[rows * topK];
    float[] weights = new float[rows * topK];
    for (int row = 0; row < rows; row++) {
      pick(logits, row * outputs, selected, weights, row * topK);
    }
    observer.routed(new Routing(layer, rows, topK, outputs, x, selected, weights, logits));
    Arrays.fill(into, 0, rows * hidden, 0f);
    Assignment assignment = assign(rows, selected, weights);
    int most = assignment.largest();
    float[] inputs = new float[most * hidden];
    float[] gate = new float[most * width];
    float[] up = new float[most * width];
    float[] results = new float[most * hidden];
    for (int e = 0; e < experts.size(); e++) {
      int first = assignment.starts[e];
      int count = assignment.starts[e + 1] - first;
      if (count == 0) {
        continue;
      }
      for (int i = 0; i < count; i++) {
        System.arraycopy(x, assignment.tokens[first + i] * hidden, inputs, i * hidden, hidden);
      }
      Expert expert = experts.get(e);
      expert.gate().apply(compute, count, inputs, gate);
      expert.up().apply(compute, count, inputs, up);
      Kernels.gatedSilu(gate, up, count * expert.width());
      expert.down().apply(compute, count, gate, results);
      for (int i = 0; i < count; i++) {
        Kernels.addScaled(
            assignment.gates[first + i],
            results,
            i * hidden,
            into,
            assignment.tokens[first + i] * hidden,
            hidden);
      }
      if (observer != ForwardObserver.NONE) {
        observer.calculated(
            new ExpertBatch(
                layer,
                e,
                count,
                Arrays.copyOfRange(assignment.tokens, first, first + count),
                Arrays.copyOfRange(assignment.gates, first, first + count),
                inputs,
                gate,
                results));
      }
    }
  }

  /**
   * The k largest router outputs that are not masked, first ones on ties; their weights are the
   * softmax over these k, which equals the softmax over all, renormalised.
   */
  private void pick(float[] logits, int at, int[] selected, float[] weights, int into) {
    for (int k = 0; k < topK; k++) {
      int best = -1;
      for (int e = 0; e < map.length; e++) {
        if (map[e] != MASKED
            && (best < 0 || logits[at + e] > logits[at + best])
            && !contains(selected, into, k, e)) {
          best = e;
        }
      }
      selected[into + k] = best;
      weights[into + k] = logits[at + best];
    }
    Kernels.softmax(weights, into, topK);
  }

  private static boolean contains(int[] values, int at, int count, int value) {
    for (int i = at; i < at + count; i++) {
      if (values[i] == value) {
        return true;
      }
    }
    return false;
  }

  /** Sorts the picks by expert; two picks of a token that lead to one expert become one. */
  private Assignment assign(int rows, int[] selected, float[] weights) {
    int[] target = new int[selected.length];
    float[] gates = weights.clone();
    int[] starts = new int[experts.size() + 1];
    for (int row = 0; row < rows; row++) {
      for (int pick = row * topK; pick < (row + 1) * topK; pick++) {
        int expert = map[selected[pick]];
        target[pick] = expert;
        for (int earlier = row * topK; earlier < pick; earlier++) {
          if (target[earlier] == expert) {
            gates[earlier] += gates[pick];
            target[pick] = MASKED;
            break;
          }
        }
        if (target[pick] != MASKED) {
          starts[expert + 1]++;
        }
      }
    }
    for (int e = 0; e < experts.size(); e++) {
      starts[e + 1] += starts[e];
    }
    int[] next = starts.clone();
    int[] tokens = new int[starts[experts.size()]];
    float[] sorted = new float[tokens.length];
    for (int pick = 0; pick < target.length; pick++) {
      if (target[pick] != MASKED) {
        int place = next[target[pick]]++;
        tokens[place] = pick / topK;
        sorted[place] = gates[pick];
      }
    }
    return new Assignment(starts, tokens, sorted);
  }

  /** Tokens and gate weights of expert e from {@code starts[e]} to {@code starts[e + 1]}. */
  private record Assignment(int[] starts, int[] tokens, float[] gates) {

    int largest() {
      int largest = 0;
      for (int e = 1; e < starts.length; e++) {
        largest = Math.max(largest, starts[e] - starts[e - 1]);
      }
      return largest;
    }
  }
}
