package dev.smelt.engine;

import dev.smelt.agent.compute.Matrix;
import dev.smelt.agent.inference.Decoder;
import dev.smelt.agent.inference.ForwardObserver;
import dev.smelt.agent.inference.MoeModel;
import dev.smelt.engine.Completion.Finish;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.BooleanSupplier;
import java.util.function.IntConsumer;

/** Runs one request on one set of weights, from its prompt to its end. */
final class Generation {

  private final MoeModel model;
  private final CompletionRequest request;
  private final ForwardObserver observer;
  private final BooleanSupplier aborted;
  private final SplittableRandom random;

  /**
   * @param observer sees all forward passes
   * @param aborted asked before each token whether to end here
   */
  Generation(
      MoeModel model,
      CompletionRequest request,
      ForwardObserver observer,
      BooleanSupplier aborted) {
    this.model = model;
    this.request = request;
    this.observer = observer;
    this.aborted = aborted;
    this.random =
        request.seed().isPresent()
            ? new SplittableRandom(request.seed().getAsLong())
            : new SplittableRandom();
  }

  /**
   * Runs to the end.
   *
   * @param onToken hears each token that belongs to the answer's text for certain
   */
  Completion run(IntConsumer onToken) {
    int[] prompt = request.prompt();
    int vocabulary = model.config().vocabulary();
    int named = request.logprobs().orElse(0);
    Decoder decoder = model.decoder(prompt.length + request.maxTokens());
    List<TokenScore> promptScores = new ArrayList<>();
    float[] logits = prefill(decoder, promptScores);
    int[] generated = new int[request.maxTokens()];
    List<TokenScore> scores = new ArrayList<>();
    Finish finish = Finish.LENGTH;
    int count = 0;
    int told = 0;
    int kept = 0;
    while (count < generated.length && finish == Finish.LENGTH) {
      if (aborted.getAsBoolean()) {
        finish = Finish.ABORT;
        break;
      }
      int token = pick(logits);
      generated[count++] = token;
      if (request.logprobs().isPresent()) {
        scores.add(TokenScore.of(token, logits, 0, vocabulary, named));
      }
      int stop = stopLength(generated, count);
      if (stop > 0) {
        finish = Finish.STOP;
        kept = count - stop;
      } else {
        kept = count;
        for (; told < count - heldBack(generated, count); told++) {
          onToken.accept(generated[told]);
        }
        if (count < generated.length) {
          logits = decoder.append(new int[] {token}, observer);
        }
      }
    }
    for (; told < kept; told++) {
      onToken.accept(generated[told]);
    }
    return new Completion(
        Arrays.copyOf(generated, count),
        kept,
        finish,
        promptScores,
        scores.subList(0, Math.min(kept, scores.size())));
  }

  /** Feeds the prompt, all of it if anything is to follow, and returns the logits after it. */
  private float[] prefill(Decoder decoder, List<TokenScore> scores) {
    int[] prompt = request.prompt();
    int vocabulary = model.config().vocabulary();
    // What follows the last token matters only if something is generated.
    int[] fed = request.maxTokens() > 0 ? prompt : Arrays.copyOf(prompt, prompt.length - 1);
    boolean scoring = request.echo() && request.logprobs().isPresent();
    if (scoring) {
      scores.add(TokenScore.unconditional(prompt[0]));
    }
    if (fed.length == 0) {
      return new float[0];
    }
    if (!scoring) {
      return decoder.append(fed, observer);
    }
    Matrix logits = decoder.appendScoring(fed, observer);
    for (int i = 1; i < prompt.length; i++) {
      scores.add(
          TokenScore.of(
              prompt[i],
              logits.values(),
              (i - 1) * vocabulary,
              vocabulary,
              request.logprobs().getAsInt()));
    }
    return logits.rows(fed.length - 1, fed.length).values();
  }

  private int pick(float[] logits) {
    int best = 0;
    for (int i = 1; i < logits.length; i++) {
      if (logits[i] > logits[best]) {
        best = i;
      }
    }
    if (request.temperature() == 0) {
      return best;
    }
    double[] cumulative = new double[logits.length];
    double sum = 0;
    for (int i = 0; i < logits.length; i++) {
      sum += Math.exp((logits[i] - logits[best]) / request.temperature());
      cumulative[i] = sum;
    }
    double drawn = random.nextDouble() * sum;
    for (int i = 0; i < cumulative.length; i++) {
      if (drawn < cumulative[i]) {
        return i;
      }
    }
    return best;
  }

  /** Length of the stop sequence that the tokens end with, 0 if there is none. */
  private int stopLength(int[] tokens, int count) {
    for (byte[] stop : request.stops()) {
      if (stop.length <= count && endsWith(tokens, count, stop, stop.length)) {
        return stop.length;
      }
    }
    return 0;
  }

  /** How many tokens at the end may be the beginning of a stop sequence. */
  private int heldBack(int[] tokens, int count) {
    int held = 0;
    for (byte[] stop : request.stops()) {
      for (int length = Math.min(stop.length - 1, count); length > held; length--) {
        if (endsWith(tokens, count, stop, length)) {
          held = length;
        }
      }
    }
    return held;
  }

  private static boolean endsWith(int[] tokens, int count, byte[] stop, int length) {
    for (int i = 0; i < length; i++) {
      if (tokens[count - length + i] != (stop[i] & 0xff)) {
        return false;
      }
    }
    return true;
  }
}
