package dev.smelt.agent.inference;

/**
 * Rotary position embedding (Su et al., 2021) in the layout of the Llama family: element i of a
 * head turns together with element i + half.
 */
final class Rotary {

  private final int half;
  private final float[] cosines;
  private final float[] sines;

  Rotary(int headSize, double theta, int positions) {
    half = headSize / 2;
    cosines = new float[positions * half];
    sines = new float[positions * half];
    for (int i = 0; i < half; i++) {
      float frequency = (float) (1 / Math.pow(theta, 2.0 * i / headSize));
      for (int position = 0; position < positions; position++) {
        float angle = position * frequency;
        cosines[position * half + i] = (float) Math.cos(angle);
        sines[position * half + i] = (float) Math.sin(angle);
      }
    }
  }

  /** Turns the heads that stand one after the other from an index on, in place. */
  void turn(float[] x, int at, int heads, int position) {
    int table = position * half;
    for (int head = 0; head < heads; head++) {
      int first = at + head * 2 * half;
      for (int i = 0; i < half; i++) {
        float cosine = cosines[table + i];
        float sine = sines[table + i];
        float a = x[first + i];
        float b = x[first + half + i];
        x[first + i] = a * cosine - b * sine;
        x[first + half + i] = b * cosine + a * sine;
      }
    }
  }
}
