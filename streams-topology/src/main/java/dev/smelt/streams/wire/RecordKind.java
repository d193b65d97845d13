package dev.smelt.streams.wire;

/** The kinds of record of this room, and the major version of each that this build writes. */
public enum RecordKind {
  USAGE_RECORD('R', 1),
  USAGE_WINDOW('W', 1),
  OPEN_WINDOW('O', 1),
  SEQUENCES('Q', 1),
  TALLY('T', 1),
  PROFILE('P', 1),
  BASELINE('B', 1),
  DRIFT('D', 1),
  REFERENCE('N', 1),
  EVIDENCE('E', 1);

  private final int code;
  private final int majorVersion;

  RecordKind(char code, int majorVersion) {
    this.code = code;
    this.majorVersion = majorVersion;
  }

  int code() {
    return code;
  }

  int majorVersion() {
    return majorVersion;
  }
}
