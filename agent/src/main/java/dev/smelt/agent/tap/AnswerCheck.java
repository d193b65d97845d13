package dev.smelt.agent.tap;

import dev.smelt.agent.tap.TappedModel.SequenceDecisions;
import java.util.List;
import java.util.Optional;

/** Tells whether the tap could use an engine's answer. */
public final class AnswerCheck {

  private AnswerCheck() {}

  /** What the tap would make of it. */
  public sealed interface Result {}

  /** The answer carries decisions that fit the model. */
  public record Fits(int tokens, int blocks) implements Result {}

  /** The answer carries routed experts; there is no model to compare them with. */
  public record Unchecked() implements Result {}

  /** The answer carries none. */
  public record Absent() implements Result {}

  /** The answer carries what cannot be used. */
  public record Unusable(TapFault fault, String detail) implements Result {}

  /**
   * Checks an answer to a completion.
   *
   * @param json the answer's body
   */
  public static Result of(byte[] json, Optional<TappedModel> model) {
    try {
      Answer answer = Answer.read(json);
      if (!answer.carriesExperts()) {
        return new Absent();
      }
      if (model.isEmpty()) {
        return new Unchecked();
      }
      List<Payload> payloads = answer.payloads(0);
      SequenceDecisions decisions = model.get().decisions(payloads.get(0).decode(model.get()));
      return new Fits(decisions.tokens(), model.get().blocks().size());
    } catch (PayloadException refused) {
      return new Unusable(refused.fault(), String.valueOf(refused.getMessage()));
    }
  }
}
