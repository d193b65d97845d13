package dev.smelt.store.http;

/**
 * Limits on what a caller can size.
 *
 * @param blobBytes longest blob that is received
 * @param manifestBytes longest body of a publication
 * @param uploads blobs received at once
 * @param subscribers event streams at once
 * @param page most items of one answer
 */
public record StoreLimits(
    long blobBytes, long manifestBytes, int uploads, int subscribers, int page) {

  /** 16 GiB blobs, 64 MiB manifests, 16 uploads, 64 event streams, pages of 1,000. */
  public static final StoreLimits DEFAULT = new StoreLimits(16L << 30, 64L << 20, 16, 64, 1000);
}
