package dev.smelt.agent.control;

import com.fasterxml.jackson.annotation.JsonSubTypes;
import com.fasterxml.jackson.annotation.JsonTypeInfo;
import java.time.Instant;

/**
 * Where the control loop of a model stands. Only the legal transitions exist, as methods.
 *
 * <p>{@link Activating} is the one state in which the engine and the store may disagree; it is on
 * disk before the engine is touched, so that a restart knows what to set right.
 */
@JsonTypeInfo(use = JsonTypeInfo.Id.NAME, property = "state")
@JsonSubTypes({
  @JsonSubTypes.Type(value = LoopState.Observing.class, name = "observing"),
  @JsonSubTypes.Type(value = LoopState.AwaitingApproval.class, name = "awaiting-approval"),
  @JsonSubTypes.Type(value = LoopState.Planning.class, name = "planning"),
  @JsonSubTypes.Type(value = LoopState.Compressing.class, name = "compressing"),
  @JsonSubTypes.Type(value = LoopState.Gating.class, name = "gating"),
  @JsonSubTypes.Type(value = LoopState.Publishing.class, name = "publishing"),
  @JsonSubTypes.Type(value = LoopState.Activating.class, name = "activating"),
  @JsonSubTypes.Type(value = LoopState.Canary.class, name = "canary"),
  @JsonSubTypes.Type(value = LoopState.RolledBack.class, name = "rolled-back"),
  @JsonSubTypes.Type(value = LoopState.Paused.class, name = "paused"),
  @JsonSubTypes.Type(value = LoopState.Degraded.class, name = "degraded"),
  @JsonSubTypes.Type(value = LoopState.Standby.class, name = "standby")
})
public sealed interface LoopState {

  /** When the loop came here. */
  Instant since();

  /** Anybody may move the ref {@code active} at any time; the engine follows in every state. */
  default Activating activate(Instant now, String from, String to, String reason) {
    return new Activating(now, from, to, reason);
  }

  /** Where a loop goes on that was stopped here: what waits or watches does, work is given up. */
  default LoopState afterRestart(Instant now) {
    return new Observing(now);
  }

  /** Watching the traffic. */
  record Observing(Instant since) implements LoopState {
    Planning plan(Instant now, Trigger trigger, String reason) {
      return new Planning(now, trigger, reason);
    }

    Gating recall(Instant now, String reason) {
      return new Gating(now, Trigger.RECALL, reason);
    }

    AwaitingApproval propose(Instant now, Trigger trigger, String reason) {
      return new AwaitingApproval(now, trigger, reason);
    }

    Paused pause(Instant now, String who, String why) {
      return new Paused(now, who, why);
    }

    @Override
    public LoopState afterRestart(Instant now) {
      return this;
    }
  }

  /** A re-merge or a recall is wanted and a person has to say yes. */
  record AwaitingApproval(Instant since, Trigger trigger, String reason) implements LoopState {
    Planning approve(Instant now) {
      return new Planning(now, trigger, reason);
    }

    Gating recall(Instant now) {
      return new Gating(now, Trigger.RECALL, reason);
    }

    Observing reject(Instant now) {
      return new Observing(now);
    }

    @Override
    public LoopState afterRestart(Instant now) {
      return this;
    }
  }

  /** Choosing dominant experts and groups. */
  record Planning(Instant since, Trigger trigger, String reason) implements LoopState {
    Compressing compress(Instant now) {
      return new Compressing(now, trigger, reason);
    }

    Observing abandon(Instant now) {
      return new Observing(now);
    }
  }

  /** Merging and factoring, layer by layer, into a staging folder. */
  record Compressing(Instant since, Trigger trigger, String reason) implements LoopState {
    Gating gate(Instant now) {
      return new Gating(now, trigger, reason);
    }
  }

  /** Scoring the candidate, new or recalled, on held-out text. */
  record Gating(Instant since, Trigger trigger, String reason) implements LoopState {
    Publishing publish(Instant now) {
      return new Publishing(now, trigger, reason);
    }

    Observing refuse(Instant now) {
      return new Observing(now);
    }
  }

  /** Writing the candidate to the store. */
  record Publishing(Instant since, Trigger trigger, String reason) implements LoopState {}

  /**
   * Making the engine serve another snapshot.
   *
   * @param from the snapshot that {@code active} names until the engine serves the other
   * @param to the snapshot on its way
   */
  record Activating(Instant since, String from, String to, String reason) implements LoopState {
    /** The engine serves a snapshot of the loop's own. */
    Canary watch(Instant now, String previous, String snapshot, Instant until) {
      return new Canary(now, previous, snapshot, until);
    }

    /** What the engine serves is known and needs no watching. */
    Observing settle(Instant now) {
      return new Observing(now);
    }

    /** What the engine serves is not known. */
    Degraded degrade(Instant now, String why) {
      return new Degraded(now, why);
    }

    RolledBack settleOnEarlier(Instant now) {
      return new RolledBack(now, from, to, reason);
    }
  }

  /** Watching the new snapshot against the one before it. */
  record Canary(Instant since, String previous, String snapshot, Instant until)
      implements LoopState {
    Observing keep(Instant now) {
      return new Observing(now);
    }

    Paused pause(Instant now, String who, String why) {
      return new Paused(now, who, why);
    }

    @Override
    public LoopState afterRestart(Instant now) {
      return this;
    }
  }

  /** An earlier snapshot serves again. */
  record RolledBack(Instant since, String from, String to, String reason) implements LoopState {
    Observing resume(Instant now) {
      return new Observing(now);
    }

    @Override
    public LoopState afterRestart(Instant now) {
      return this;
    }
  }

  /** A person has stopped the loop; the tap goes on. */
  record Paused(Instant since, String who, String why) implements LoopState {
    Observing resume(Instant now) {
      return new Observing(now);
    }

    @Override
    public LoopState afterRestart(Instant now) {
      return this;
    }
  }

  /** Something outside is missing or its outcome unknown; the loop sets it right before acting. */
  record Degraded(Instant since, String reason) implements LoopState {
    Observing recover(Instant now) {
      return new Observing(now);
    }
  }

  /**
   * Another agent acts; this one only taps. Never on disk.
   *
   * @param leader the agent that acts
   */
  record Standby(Instant since, String leader) implements LoopState {}
}
