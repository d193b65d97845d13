package dev.smelt.agent.compute;

/**
 * A matrix of constant weights, held where its {@link Compute} multiplies fastest. It can't be read
 * back, only multiplied with. Its memory is released when it becomes unreachable.
 */
public interface Weights {

  /** Number of outputs. */
  int rows();

  /** Number of inputs. */
  int cols();
}
