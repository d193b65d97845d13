package dev.smelt.agent.control;

import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletionStage;

/**
 * One model as the API, the dashboard and the command line see it: what the loop knows and what a
 * person may ask of it.
 *
 * <p>Reading never blocks on work in progress. Asking returns at once; the stage completes when the
 * outcome is known, which for an activation includes the engine's swap.
 */
public interface ModelControl {

  /** The name under which store and API know the model. */
  String model();

  /** Where the loop stands; cheaper than {@link #status}. */
  LoopState state();

  LoopStatus status();

  /** The profile of each MoE block, in layer order; empty before the first window closed. */
  List<BlockTraffic> traffic();

  /** The newest drift of the model, oldest first, at most {@code most}. */
  List<DriftPoint> drift(int most);

  /** The newest journal entries, newest first, at most {@code most}. */
  List<Journal.Entry> journal(int most);

  /** Merges anew from the profile now, whatever the drift. */
  CompletionStage<Outcome> remerge(Request request);

  /** Lets a proposed re-merge go ahead. */
  CompletionStage<Outcome> approve(Request request);

  /** Drops a proposed re-merge. */
  CompletionStage<Outcome> reject(Request request);

  /** Stops the loop; tap and windows go on. */
  CompletionStage<Outcome> pause(Request request);

  /** Lets a paused loop go on. */
  CompletionStage<Outcome> resume(Request request);

  /**
   * Takes a number that says how good answers are; the canary compares it with the time before.
   *
   * @throws IllegalArgumentException if more kinds of numbers are posted than are kept
   */
  void signal(Signal signal);

  /** Makes the engine serve a snapshot. */
  CompletionStage<Outcome> activate(String snapshot, Request request);

  /**
   * Makes the engine serve an earlier snapshot again.
   *
   * @param snapshot which one; empty for the one before the active one
   */
  CompletionStage<Outcome> rollback(Optional<String> snapshot, Request request);

  /**
   * Who asks and why; both are logged.
   *
   * @param who a person or program
   * @param why in words, not blank
   * @param key the same change asked for again under the same key happens once
   */
  record Request(String who, String why, Optional<String> key) {
    public Request {
      if (who.isBlank() || why.isBlank()) {
        throw new IllegalArgumentException("say who asks and why; neither may be blank");
      }
    }

    public Request(String who, String why) {
      this(who, why, Optional.empty());
    }
  }

  /** What became of a request. */
  sealed interface Outcome {

    String message();

    /** It was done. */
    record Done(String message) implements Outcome {}

    /** It was not done, and nothing changed. */
    record Refused(String message) implements Outcome {}

    /** It is not known what the engine serves; the loop goes on to set it right. */
    record Unknown(String message) implements Outcome {}
  }
}
