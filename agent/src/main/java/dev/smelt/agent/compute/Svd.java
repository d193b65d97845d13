package dev.smelt.agent.compute;

/**
 * The thin singular value decomposition {@code left · diag(singular) · right} of an m x n matrix,
 * with k = min(m, n).
 *
 * @param left m x k, orthonormal columns
 * @param singular the k singular values, descending
 * @param right k x n, orthonormal rows
 */
public record Svd(Matrix left, float[] singular, Matrix right) {}
