package dev.smelt.agent.compute;

/**
 * A tall matrix as {@code orthonormal · triangular}.
 *
 * @param orthonormal m x n, orthonormal columns
 * @param triangular n x n, upper triangular
 */
public record Qr(Matrix orthonormal, Matrix triangular) {}
