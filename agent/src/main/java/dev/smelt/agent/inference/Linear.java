package dev.smelt.agent.inference;

import dev.smelt.agent.compute.Compute;
import dev.smelt.agent.compute.Weights;

/** A linear map of an expert, {@code y = W x}, whole or compressed. */
sealed interface Linear {

  /** Size of y. */
  int rows();

  /**
   * Maps the first samples rows of x.
   *
   * @param into samples x rows(), overwritten
   */
  void apply(Compute compute, int samples, float[] x, float[] into);

  /** Multiplications and additions for one sample. */
  long flops();

  /** A whole matrix. */
  record Dense(Weights weights) implements Linear {

    @Override
    public int rows() {
      return weights.rows();
    }

    @Override
    public void apply(Compute compute, int samples, float[] x, float[] into) {
      compute.project(weights, samples, x, into);
    }

    @Override
    public long flops() {
      return 2L * weights.rows() * weights.cols();
    }
  }

  /**
   * {@code W = left · right + S}, where S holds a few rows and is zero elsewhere. It is never
   * multiplied out: {@code y = left (right x)}, then the kept rows are added.
   *
   * @param left [rows, rank]
   * @param right [rank, columns]
   * @param kept which rows of W the residual adds to
   * @param residual [kept, columns]
   */
  record Factored(Weights left, Weights right, int[] kept, Weights residual) implements Linear {

    @Override
    public int rows() {
      return left.rows();
    }

    @Override
    public void apply(Compute compute, int samples, float[] x, float[] into) {
      float[] inner = new float[samples * right.rows()];
      compute.project(right, samples, x, inner);
      compute.project(left, samples, inner, into);
      if (kept.length == 0) {
        return;
      }
      float[] extra = new float[samples * kept.length];
      compute.project(residual, samples, x, extra);
      for (int sample = 0; sample < samples; sample++) {
        int from = sample * kept.length;
        int to = sample * rows();
        for (int i = 0; i < kept.length; i++) {
          into[to + kept[i]] += extra[from + i];
        }
      }
    }

    @Override
    public long flops() {
      return 2L * left.rows() * left.cols()
          + 2L * right.rows() * right.cols()
          + 2L * residual.rows() * residual.cols()
          + kept.length;
    }
  }
}
