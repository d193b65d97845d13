package dev.smelt.agent.merge;

import java.util.Arrays;
import java.util.OptionalInt;
import java.util.stream.Collectors;

/** Which expert the members of a group are aligned to before they are averaged. */
public enum Alignment {
  /** None: neurons are averaged in the order in which they are stored. */
  NONE("none") {
    @Override
    public OptionalInt reference(int dominant) {
      return OptionalInt.empty();
    }
  },
  /** Expert 0 of the layer. */
  EXPERT_0("expert-0") {
    @Override
    public OptionalInt reference(int dominant) {
      return OptionalInt.of(0);
    }
  },
  /** The group's dominant expert. */
  DOMINANT("dominant") {
    @Override
    public OptionalInt reference(int dominant) {
      return OptionalInt.of(dominant);
    }
  };

  private final String label;

  Alignment(String label) {
    this.label = label;
  }

  /** The reference expert of a group; empty where nothing is aligned. */
  public abstract OptionalInt reference(int dominant);

  /** The name on the command line. */
  @Override
  public String toString() {
    return label;
  }

  /**
   * @throws MergeException for an unknown name; the message lists the known ones
   */
  public static Alignment named(String name) {
    return Arrays.stream(values())
        .filter(alignment -> alignment.label.equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                new MergeException(
                    "unknown alignment '"
                        + name
                        + "': use one of "
                        + Arrays.stream(values())
                            .map(Alignment::toString)
                            .collect(Collectors.joining(", "))));
  }
}
