package dev.smelt.agent.tap;

import java.util.Locale;

/** Why router decisions of one answer could not be used. Serving is never affected by one. */
public enum TapFault {
  /** The engine refused the request field and answered once it was left out. */
  REJECTED("the engine refuses the field return_routed_experts; start it with its flag"),
  /** The answer carries no routed experts. */
  MISSING(
      "the engine answers without routed experts; start it with --enable-return-routed-experts, and"
          + " check that no gateway in between drops the field"),
  /** Every expert id is zero (vLLM 44116). */
  ALL_ZERO(
      "the engine returns only zeros as expert ids; choose another MoE backend or update the engine"),
  /** A token has the same expert twice, in every row of the payload. */
  REPEATED("every token names one expert several times; the payload's shape is not understood"),
  /** An expert id is not below the number of experts. */
  OUT_OF_RANGE(
      "expert ids exceed the model's experts; check that the checkpoint is the served one"),
  /** The layers, experts per token or rows do not fit the model. */
  WRONG_SHAPE("layers or experts per token differ from the model's; check the checkpoint"),
  /** The element type is not an integer type that an engine sends. */
  WRONG_TYPE("the element type of the payload is not supported"),
  /** The payload is shorter than its shape says. */
  TRUNCATED("the payload ends early; check gateways between the agent and the engine"),
  /** The payload is longer than its shape says, or than the configured limit. */
  OVERSIZED("the payload is larger than its shape or the configured limit"),
  /** The payload is not base64 or has no readable header. */
  MALFORMED("the payload is not what vLLM or SGLang send"),
  /** The answer is compressed although the tap asked for it plain. */
  COMPRESSED("the engine compresses answers that were asked for uncompressed; switch that off"),
  /** The answer is larger than the tap holds in memory. */
  ANSWER_TOO_LARGE("the answer exceeds proxy.maxAnswerBytes"),
  /** The answer is not JSON. */
  NOT_JSON("the answer is not JSON"),
  /** Decisions arrived faster than they could be combined. */
  BEHIND("the tap is behind and drops decisions; lower proxy.share");

  private final String remedy;

  TapFault(String remedy) {
    this.remedy = remedy;
  }

  /** What happened and what to do, in one clause for a person. */
  public String remedy() {
    return remedy;
  }

  /** The value of the {@code reason} label in metrics. */
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }
}
