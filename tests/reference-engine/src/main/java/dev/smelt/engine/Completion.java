package dev.smelt.engine;

import java.util.List;
import java.util.Locale;

/**
 * What came of a request.
 *
 * @param generated tokens, a stop sequence at the end included
 * @param kept how many of them belong to the answer's text
 * @param finish why it ended
 * @param promptScores one for each token of the prompt, where both echo and probabilities were
 *     asked for
 * @param generatedScores one for each kept token, where probabilities were asked for
 */
record Completion(
    int[] generated,
    int kept,
    Finish finish,
    List<TokenScore> promptScores,
    List<TokenScore> generatedScores) {

  /** Why a generation ended. */
  enum Finish {
    LENGTH,
    STOP,
    ABORT;

    String label() {
      return name().toLowerCase(Locale.ROOT);
    }
  }
}
