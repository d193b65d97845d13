package dev.smelt.streams.topology;

/**
 * Why a record is not counted.
 *
 * @param reason for programs
 * @param detail for people
 */
record Rejection(Reason reason, String detail) {

  enum Reason {
    /** No value, bytes that end early or contradict themselves, or another kind of record. */
    DAMAGED("damaged"),
    /** A newer major version of the format. */
    UNKNOWN_VERSION("unknown-version"),
    /** The key doesn't name the layer that the record is about. */
    WRONG_KEY("wrong-key"),
    EXPERT_OUT_OF_RANGE("expert-out-of-range"),
    /** One token chose the same expert twice. */
    DUPLICATE_EXPERT("duplicate-expert"),
    /** Nothing but zeros: the engine never filled the layer's buffer. */
    ALL_ZERO("all-zero"),
    /** Combined counts that no decisions add up to. */
    INCONSISTENT("inconsistent"),
    /** Another number of experts, or top-k, than the window's earlier records. */
    SHAPE_CHANGED("shape-changed"),
    /** Further in the future than clocks may differ. */
    IN_THE_FUTURE("in-the-future"),
    /** Its window has closed. */
    LATE("late"),
    /** So far behind the engine's latest record that it may be a repetition. */
    SEQUENCE_TOO_OLD("sequence-too-old");

    private final String header;

    Reason(String header) {
      this.header = header;
    }

    /** The value of the dead-letter record's reason header. */
    String header() {
      return header;
    }
  }
}
