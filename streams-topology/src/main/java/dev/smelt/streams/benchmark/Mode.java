package dev.smelt.streams.benchmark;

/** Whether taps combine decisions, or send every one. */
public enum Mode {
  COMBINED,
  RAW
}
