package dev.smelt.agent.tap;

import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Map;

/**
 * What the tap does at the moment and what it has seen so far.
 *
 * @param state what it does
 * @param answers answers whose decisions were used
 * @param tokens tokens of these answers
 * @param faults answers that could not be used, by reason
 */
public record TapStatus(State state, long answers, long tokens, Map<TapFault, Long> faults) {

  public TapStatus {
    faults = Map.copyOf(faults);
  }

  /** What the tap does. */
  public sealed interface State {
    /** In plain words, for a person. */
    String description();
  }

  /** No tapped request has been answered yet. */
  public record Waiting() implements State {
    @Override
    public String description() {
      return "waiting for the first tapped answer";
    }
  }

  /** Decisions come in. */
  public record Tapping(Instant last) implements State {
    @Override
    public String description() {
      return "reads router decisions, last at " + last.truncatedTo(ChronoUnit.SECONDS);
    }
  }

  /** Nothing is asked of the engine for a while, since its answers could not be used. */
  public record Resting(TapFault fault, String detail, Instant until) implements State {
    @Override
    public String description() {
      return "rests until %s: %s (%s)"
          .formatted(until.truncatedTo(ChronoUnit.SECONDS), fault.remedy(), detail);
    }
  }
}
