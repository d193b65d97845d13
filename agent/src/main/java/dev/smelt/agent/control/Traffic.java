package dev.smelt.agent.control;

import dev.smelt.streams.profile.Baseline;
import dev.smelt.streams.profile.Profile;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/** What the stream knows of one model's traffic. Safe for use by several threads. */
public interface Traffic {

  /**
   * The profile of each MoE block by name; blocks that no window has closed for are missing.
   *
   * @throws IllegalStateException while the stream is starting or moving partitions; ask again
   */
  Map<String, Profile> profiles();

  /** After how long past traffic counts half in a profile. */
  Duration halfLife();

  /** The drift records of the model. */
  DriftHistory drift();

  /** Makes these what drift is measured from; returns when the broker has them. */
  void rebase(List<Baseline> baselines);
}
