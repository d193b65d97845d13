package dev.smelt.agent.inference;

import dev.smelt.agent.inference.Evaluation.Score;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;

/**
 * How well a byte-level model predicts texts, and what that costs.
 *
 * @param score by the protocol of {@link Evaluation}
 * @param expertBytes bytes of the expert weights in their stored types
 * @param flopsPerToken multiplications and additions of one token in all linear maps, with the
 *     experts that these texts were really routed to; attention scores, which depend on the length
 *     of the context, are left out
 */
public record Measurement(Score score, long expertBytes, double flopsPerToken) {

  /**
   * Measures a model; the windows are spread over the processors.
   *
   * @throws IllegalArgumentException if the texts are empty or the model is not byte-level
   */
  public static Measurement of(MoeModel model, List<byte[]> texts, ByteProgress progress) {
    Evaluation.requireBytes(model);
    long all = texts.stream().mapToLong(text -> text.length).sum();
    if (all == 0) {
      throw new IllegalArgumentException("there is no text to evaluate on");
    }
    AtomicLong done = new AtomicLong();
    LongAdder expertFlops = new LongAdder();
    ForwardObserver counting =
        new ForwardObserver() {
          @Override
          public void calculated(ExpertBatch batch) {
            expertFlops.add(batch.count() * model.expertFlops(batch.layer(), batch.expert()));
          }
        };
    // Added up in order, so that the same texts always give the same figure.
    List<Score> scores =
        Window.chunks(texts).parallelStream()
            .map(
                chunk -> {
                  Score score = Evaluation.score(model, chunk, counting);
                  progress.processed(done.addAndGet(score.bytes()), all);
                  return score;
                })
            .toList();
    Score sum = scores.stream().reduce(Score.NOTHING, Score::plus);
    return new Measurement(
        sum, model.expertBytes(), model.sharedFlops() + (double) expertFlops.sum() / all);
  }
}
