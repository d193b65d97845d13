package dev.smelt.store.snapshot;

import java.util.List;

/**
 * What a verification found.
 *
 * @param manifests that were read
 * @param blobs that were hashed
 * @param bytes of those
 * @param damages found, none if all is well
 */
public record Verification(int manifests, int blobs, long bytes, List<Damage> damages) {

  /**
   * Something that is not what it should be.
   *
   * @param what a blob's digest or a manifest's file
   * @param reason in words
   * @param snapshots that cannot be used because of it, as model/id
   */
  public record Damage(String what, String reason, List<String> snapshots) {}

  /** Hears how far a verification is. */
  @FunctionalInterface
  public interface Progress {

    /** Nobody listens. */
    Progress NONE = (bytes, all) -> {};

    /**
     * @param bytes hashed
     * @param all bytes that there are to hash
     */
    void hashed(long bytes, long all);
  }

  /** What is done with a blob that is damaged. */
  public enum OnDamage {
    /** It stays where it is. */
    REPORT,
    /**
     * It is moved to the folder {@code quarantine}, so that nobody reads it and publishing it again
     * restores it.
     */
    QUARANTINE
  }
}
