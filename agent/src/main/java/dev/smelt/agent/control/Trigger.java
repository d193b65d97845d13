package dev.smelt.agent.control;

/** Why a re-merge is wanted. */
public enum Trigger {
  /** The model serves uncompressed and there is evidence enough for a first snapshot. */
  FIRST,
  /** The profile has left the baseline of the active snapshot. */
  DRIFT,
  /** The configured time has passed. */
  SCHEDULE,
  /** A person asked. */
  HAND
}
