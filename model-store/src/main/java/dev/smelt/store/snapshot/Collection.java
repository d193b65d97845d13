package dev.smelt.store.snapshot;

/**
 * What a collection did.
 *
 * @param deleted blobs that no snapshot named
 * @param bytes of those
 * @param young blobs that no snapshot names but that are within the grace period
 * @param temporary left over files of broken transfers that were deleted
 */
public record Collection(int deleted, long bytes, int young, int temporary) {}
