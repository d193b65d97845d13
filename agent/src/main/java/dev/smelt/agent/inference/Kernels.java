package dev.smelt.agent.inference;

/** Element-wise arithmetic on rows of row-major arrays. */
final class Kernels {

  private static final float LOG2_E = 1.44269504f;
  private static final float LN_2_HIGH = 0.693359375f;
  private static final float LN_2_LOW = -2.12194440e-4f;

  /** Adding it to a small float leaves the nearest integer in the low bits. */
  private static final float ROUNDING = 12_582_912f;

  private Kernels() {}

  /**
   * The exponential, to 2 units in the last place: the polynomial of the Cephes library's {@code
   * expf}. Results below the smallest normal number are 0.
   */
  static float exp(float x) {
    if (x < -87.3f) {
      return 0f;
    }
    if (x > 88.7f) {
      return Float.POSITIVE_INFINITY;
    }
    float shifted = x * LOG2_E + ROUNDING;
    float n = shifted - ROUNDING;
    float r = x - n * LN_2_HIGH - n * LN_2_LOW;
    float y = 1.9875691500e-4f;
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    y = y * r * r + r + 1f;
    return y * Float.intBitsToFloat((Float.floatToRawIntBits(shifted) << 23) + 0x3f80_0000);
  }

  /** {@code y += a · x} over count elements. */
  static void addScaled(float a, float[] x, int xAt, float[] y, int yAt, int count) {
    for (int i = 0; i < count; i++) {
      y[yAt + i] = Math.fma(a, x[xAt + i], y[yAt + i]);
    }
  }

  /** {@code y += x} over count elements. */
  static void add(float[] x, float[] y, int count) {
    for (int i = 0; i < count; i++) {
      y[i] += x[i];
    }
  }

  /** RMSNorm (Zhang and Sennrich, 2019) of each row: {@code x · weight / sqrt(mean(x²) + eps)}. */
  static void rmsNorm(float[] x, int rows, float[] weight, float epsilon, float[] into) {
    int cols = weight.length;
    for (int row = 0; row < rows; row++) {
      int at = row * cols;
      float squares = 0f;
      for (int i = 0; i < cols; i++) {
        squares += x[at + i] * x[at + i];
      }
      float scale = (float) (1 / Math.sqrt(squares / cols + epsilon));
      for (int i = 0; i < cols; i++) {
        into[at + i] = x[at + i] * scale * weight[i];
      }
    }
  }

  /** Softmax of count elements in place. */
  static void softmax(float[] x, int at, int count) {
    float max = Float.NEGATIVE_INFINITY;
    for (int i = at; i < at + count; i++) {
      max = Math.max(max, x[i]);
    }
    float sum = 0f;
    for (int i = at; i < at + count; i++) {
      float e = exp(x[i] - max);
      x[i] = e;
      sum += e;
    }
    float scale = 1f / sum;
    for (int i = at; i < at + count; i++) {
      x[i] *= scale;
    }
  }

  /** {@code gate := silu(gate) · up}, the hidden activation of a gated expert. */
  static void gatedSilu(float[] gate, float[] up, int count) {
    for (int i = 0; i < count; i++) {
      gate[i] = gate[i] / (1f + exp(-gate[i])) * up[i];
    }
  }

  /** The natural logarithm of the sum of exponentials of count elements. */
  static double logSumExp(float[] x, int at, int count) {
    float max = Float.NEGATIVE_INFINITY;
    for (int i = at; i < at + count; i++) {
      max = Math.max(max, x[i]);
    }
    double sum = 0;
    for (int i = at; i < at + count; i++) {
      sum += exp(x[i] - max);
    }
    return max + Math.log(sum);
  }
}
