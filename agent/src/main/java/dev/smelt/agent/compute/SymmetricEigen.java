package dev.smelt.agent.compute;

/**
 * The eigendecomposition of a symmetric n x n matrix, largest eigenvalue first.
 *
 * @param values the n eigenvalues, descending
 * @param vectors row i is the unit eigenvector of {@code values[i]}, so that the matrix is {@code
 *     vectorsᵀ · diag(values) · vectors} and the leading r vectors are {@code vectors.rows(0, r)}
 */
public record SymmetricEigen(float[] values, Matrix vectors) {}
