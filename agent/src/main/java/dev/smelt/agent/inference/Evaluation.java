package dev.smelt.agent.inference;

import dev.smelt.agent.compute.Matrix;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.function.LongConsumer;

/**
 * Scores a byte-level model on text.
 *
 * <p>Protocol: the text is cut into consecutive windows of {@value #WINDOW} bytes, each scored on
 * its own: byte 0 and then all bytes of the window but the last go in, all bytes of the window are
 * the targets. A shorter last window counts too.
 */
public final class Evaluation {

  /** Bytes that are scored together. */
  public static final int WINDOW = 256;

  private static final int WINDOWS_PER_PASS = 8;

  /**
   * How well a text was predicted.
   *
   * @param bytes scored
   * @param bits the sum of {@code -log2 p} over them
   */
  public record Score(long bytes, double bits) {

    public static final Score NOTHING = new Score(0, 0);

    public Score plus(Score other) {
      return new Score(bytes + other.bytes, bits + other.bits);
    }

    public double bitsPerByte() {
      return bits / bytes;
    }

    /** Perplexity per byte: two to the power of {@link #bitsPerByte}. */
    public double perplexity() {
      return Math.pow(2, bitsPerByte());
    }
  }

  private Evaluation() {}

  /**
   * Scores a text on the caller's thread.
   *
   * @param text the bytes; none of them is kept
   * @param observer sees every forward pass
   * @param progress is told the bytes scored so far after each pass
   * @throws IllegalArgumentException if the text is empty or the model is not byte-level
   * @throws CancellationException when the thread is interrupted; the interrupt stays set
   */
  public static Score score(
      MoeModel model, byte[] text, ForwardObserver observer, LongConsumer progress) {
    if (text.length == 0) {
      throw new IllegalArgumentException("there is no text to evaluate on");
    }
    if (model.config().vocabulary() != 256) {
      throw new IllegalArgumentException(
          "bits per byte need a byte-level model; this one has a vocabulary of "
              + model.config().vocabulary());
    }
    Score score = Score.NOTHING;
    for (int start = 0; start < text.length; start += WINDOW * WINDOWS_PER_PASS) {
      if (Thread.currentThread().isInterrupted()) {
        throw new CancellationException("the evaluation was cancelled");
      }
      int end = Math.min(text.length, start + WINDOW * WINDOWS_PER_PASS);
      score = score.plus(pass(model, text, start, end, observer));
      progress.accept(end);
    }
    return score;
  }

  private static Score pass(
      MoeModel model, byte[] text, int start, int end, ForwardObserver observer) {
    List<int[]> windows = new ArrayList<>();
    for (int from = start; from < end; from += WINDOW) {
      int[] inputs = new int[Math.min(WINDOW, end - from)];
      for (int i = 1; i < inputs.length; i++) {
        inputs[i] = text[from + i - 1] & 0xFF;
      }
      windows.add(inputs);
    }
    Matrix logits = model.logits(windows, observer);
    double bits = 0;
    for (int row = 0; row < logits.rows(); row++) {
      bits += surprise(logits, row, text[start + row] & 0xFF);
    }
    return new Score(logits.rows(), bits);
  }

  /** {@code -log2} of the probability that a row of logits gives to the target. */
  private static double surprise(Matrix logits, int row, int target) {
    float[] values = logits.values();
    int from = row * logits.cols();
    float highest = Float.NEGATIVE_INFINITY;
    for (int i = from; i < from + logits.cols(); i++) {
      highest = Math.max(highest, values[i]);
    }
    double sum = 0;
    for (int i = from; i < from + logits.cols(); i++) {
      sum += Math.exp(values[i] - highest);
    }
    return (Math.log(sum) + highest - values[from + target]) / Math.log(2);
  }
}
