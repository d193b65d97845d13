package dev.smelt.agent.inference;

/** Hears how far a long run over texts is; may be called from several threads. */
@FunctionalInterface
public interface ByteProgress {

  /** Tells nobody. */
  ByteProgress NONE = (done, all) -> {};

  /**
   * @param done bytes of text processed
   * @param all bytes of text altogether
   */
  void processed(long done, long all);
}
