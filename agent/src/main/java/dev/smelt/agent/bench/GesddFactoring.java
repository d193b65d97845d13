package dev.smelt.agent.bench;

import dev.smelt.agent.compress.FactoringProbe;
import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.compute.Svd;
import dev.smelt.agent.compute.WhiteningProbe;
import java.util.Arrays;

/**
 * Whitened low rank the usual way, as SVD-LLM has it (arXiv 2403.07378): the singular value
 * decomposition of {@code W L}, where {@code L Lᵀ = C}, and the right factor times {@code L⁻¹}.
 */
record GesddFactoring(Compute compute, int rank) {

  FactoringProbe factors(Matrix weight, Matrix moment) {
    Matrix root = WhiteningProbe.root(moment);
    Svd svd = WhiteningProbe.svd(compute.multiply(weight, root));
    Matrix right = svd.right().rows(0, rank);
    right.scaleRows(Arrays.copyOf(svd.singular(), rank));
    WhiteningProbe.undo(root, right);
    int[] leading = new int[rank];
    Arrays.setAll(leading, i -> i);
    return new FactoringProbe(svd.left().gatherColumns(leading), right);
  }
}
