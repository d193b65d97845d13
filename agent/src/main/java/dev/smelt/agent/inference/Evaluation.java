package dev.smelt.agent.inference;

import dev.smelt.agent.compute.Matrix;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.function.LongConsumer;

/**
 * Scores a byte-level model on text.
 *
 * <p>Protocol: the text is cut into consecutive windows of 256 bytes, each scored on its own: byte
 * 0 and then all bytes of the window but the last go in, all bytes of the window are the targets. A
 * shorter last window counts too.
 */
public final class Evaluation {

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
    requireBytes(model);
    Score score = Score.NOTHING;
    for (List<Window> chunk : Window.chunks(List.of(text))) {
      if (Thread.currentThread().isInterrupted()) {
        throw new CancellationException("the evaluation was cancelled");
      }
      score = score.plus(score(model, chunk, observer));
      progress.accept(score.bytes());
    }
    return score;
  }

  /** Scores windows in one forward pass. */
  static Score score(MoeModel model, List<Window> windows, ForwardObserver observer) {
    Matrix logits = model.logits(Window.sequences(windows), observer);
    double nats = 0;
    int row = 0;
    for (Window window : windows) {
      for (int target : window.targets()) {
        int at = row++ * logits.cols();
        nats += Kernels.logSumExp(logits.values(), at, logits.cols());
        nats -= logits.values()[at + target];
      }
    }
    return new Score(row, nats / Math.log(2));
  }

  static void requireBytes(MoeModel model) {
    if (model.config().vocabulary() != 256) {
      throw new IllegalArgumentException(
          "texts need a byte-level model; this one has a vocabulary of "
              + model.config().vocabulary());
    }
  }
}
