package dev.smelt.agent.control;

import java.time.Duration;

/** What the policy makes of the evidence; every decision carries the reason in words. */
public sealed interface Decision {

  String reason();

  /** Nothing to do. */
  record Ignore(String reason) implements Decision {}

  /** Not yet: look again after a while. */
  record CheckAgain(Duration after, String reason) implements Decision {}

  /** Let an earlier snapshot serve again. */
  record Recall(String snapshot, String reason) implements Decision {}

  /** Merge anew from the profile. */
  record Remerge(Trigger trigger, String reason) implements Decision {}
}
