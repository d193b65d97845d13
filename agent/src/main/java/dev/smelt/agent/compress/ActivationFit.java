package dev.smelt.agent.compress;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.compute.Transpose;
import dev.smelt.agent.merge.ExpertWeights;
import dev.smelt.agent.statistics.ExpertMoments;
import dev.smelt.agent.statistics.GroupMoments;
import dev.smelt.store.checkpoint.Role;
import java.util.EnumMap;
import java.util.Map;

/**
 * What is needed to fit a down projection in closed form: the outputs wanted, y, and the hidden
 * activations h that are there to make them from, as second moments over traffic.
 *
 * <p>A ridge on both sides draws the fit to the expert's own down projection W: {@code moment = sum
 * g² h hᵀ + λ I}, {@code cross = sum g² y hᵀ + λ W}. With fewer tokens than neurons the ridge
 * counts for more. (The refit is MergeMoE's, with another prior.)
 *
 * @param cross d x F
 * @param moment F x F, positive definite
 */
record ActivationFit(Matrix cross, Matrix moment) {

  private static final double RIDGE = 1e-3;

  /** Where no token was seen, neurons count by the norm of their column of W, a little. */
  private static final double UNSEEN = 1e-9;

  /** An expert that goes on making its own outputs: {@code y = W h}. */
  static ActivationFit own(Compute compute, ExpertWeights expert, ExpertMoments moments) {
    Matrix moment = moments.activations().copy();
    addRidge(moment, moments.tokens());
    return new ActivationFit(
        compute.multiply(Transpose.NO, expert.matrix(Role.DOWN), Transpose.NO, moment), moment);
  }

  /** A merged expert that is to make the outputs of its group's members. */
  static ActivationFit to(ExpertWeights merged, GroupMoments moments) {
    Matrix moment = moments.activations().copy();
    float ridge = addRidge(moment, moments.tokens());
    Matrix cross = moments.outputs().copy();
    float[] down = merged.matrix(Role.DOWN).values();
    for (int i = 0; i < down.length; i++) {
      cross.values()[i] += ridge * down[i];
    }
    return new ActivationFit(cross, moment);
  }

  private static float addRidge(Matrix moment, double tokens) {
    int width = moment.rows();
    double trace = 0;
    for (int i = 0; i < width; i++) {
      trace += moment.at(i, i);
    }
    float ridge =
        (float) (RIDGE * (1 + (double) width / Math.max(1, tokens)) * trace / width + UNSEEN);
    for (int i = 0; i < width; i++) {
      moment.set(i, i, moment.at(i, i) + ridge);
    }
    return ridge;
  }

  /** The expert with these neurons alone and the down projection that then fits best. */
  ExpertWeights narrowed(Compute compute, ExpertWeights expert, int[] neurons) {
    Map<Role, Matrix> narrow = new EnumMap<>(Role.class);
    expert
        .matrices()
        .forEach(
            (role, matrix) ->
                narrow.put(
                    role,
                    switch (role) {
                      case GATE, UP -> matrix.gatherRows(neurons);
                      case GATE_BIAS, UP_BIAS -> matrix.gatherColumns(neurons);
                      case DOWN -> down(compute, neurons);
                      case DOWN_BIAS -> matrix;
                    }));
    return new ExpertWeights(narrow);
  }

  private Matrix down(Compute compute, int[] neurons) {
    return compute.solveRidge(
        cross.gatherColumns(neurons), moment.gatherRows(neurons).gatherColumns(neurons), 0);
  }
}
