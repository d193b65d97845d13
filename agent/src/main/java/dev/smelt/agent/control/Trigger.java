package dev.smelt.agent.control;

/** Why a re-merge is wanted. */
public enum Trigger {
  /** The model serves uncompressed and there is evidence enough for a first snapshot. */
  FIRST,
  /** The profile has left the baseline of the active snapshot. */
  DRIFT,
  /** The traffic is like what an earlier snapshot was made for; nothing has to be merged. */
  RECALL,
  /** The configured time has passed. */
  SCHEDULE,
  /** A person asked. */
  HAND
}
