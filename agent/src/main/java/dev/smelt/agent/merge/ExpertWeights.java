package dev.smelt.agent.merge;

import dev.smelt.agent.compute.Matrix;
import dev.smelt.store.checkpoint.Checkpoint;
import dev.smelt.store.checkpoint.MoeBlock;
import dev.smelt.store.checkpoint.Role;
import java.util.Collections;
import java.util.EnumMap;
import java.util.Map;

/**
 * The weights of one expert in 32-bit floats.
 *
 * @param matrices gate and up [F, d], down [d, F]; biases as one row: gate and up [1, F], down [1,
 *     d]. Switch experts have up ({@code wi}) and down ({@code wo}) only
 */
public record ExpertWeights(Map<Role, Matrix> matrices) {

  public ExpertWeights {
    matrices = Collections.unmodifiableMap(new EnumMap<>(matrices));
  }

  /**
   * Reads an expert of a checkpoint.
   *
   * @throws MergeException if a weight is NaN or infinite
   */
  public static ExpertWeights read(Checkpoint checkpoint, MoeBlock block, int expert) {
    Map<Role, Matrix> matrices = new EnumMap<>(Role.class);
    for (Role role : block.roles()) {
      float[] values = checkpoint.expert(block, expert, role);
      requireFinite(values, block, expert, role);
      int rows = role.bias() ? 1 : role == Role.DOWN ? block.hidden() : block.width();
      matrices.put(role, new Matrix(rows, values.length / rows, values));
    }
    return new ExpertWeights(matrices);
  }

  private static void requireFinite(float[] values, MoeBlock block, int expert, Role role) {
    for (int i = 0; i < values.length; i++) {
      if (!Float.isFinite(values[i])) {
        throw new MergeException(
            "%s: %s of expert %d holds %s at position %d; the checkpoint is damaged"
                .formatted(block.name(), role, expert, values[i], i));
      }
    }
  }

  public Matrix matrix(Role role) {
    Matrix matrix = matrices.get(role);
    if (matrix == null) {
      throw new IllegalArgumentException("the expert has no " + role);
    }
    return matrix;
  }

  /** The number of hidden neurons F. */
  public int width() {
    return matrix(Role.UP).rows();
  }

  /**
   * The same function with its hidden neurons in another order: neuron i is neuron p(i) of this.
   */
  public ExpertWeights permuted(int[] permutation) {
    Map<Role, Matrix> permuted = new EnumMap<>(Role.class);
    matrices.forEach(
        (role, matrix) ->
            permuted.put(
                role,
                switch (role) {
                  case GATE, UP -> matrix.gatherRows(permutation);
                  case DOWN, GATE_BIAS, UP_BIAS -> matrix.gatherColumns(permutation);
                  case DOWN_BIAS -> matrix;
                }));
    return new ExpertWeights(permuted);
  }
}
