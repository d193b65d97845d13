package dev.smelt.store.snapshot;

import java.util.List;
import java.util.Map;

/**
 * What differs between two snapshots of a model.
 *
 * @param from id of the older one
 * @param to id of the newer one
 * @param added tensors that only the newer one has
 * @param removed tensors that only the older one has
 * @param changed tensors whose bytes, type or shape differ
 * @param unchanged number of tensors that are the same
 * @param bytesToFetch bytes of the newer one's blobs that the older one lacks
 * @param groups for each block that differs, the newer one's groups that differ
 * @param experts for each block that differs, the experts whose weights differ
 */
public record SnapshotDiff(
    String from,
    String to,
    List<String> added,
    List<String> removed,
    List<String> changed,
    int unchanged,
    long bytesToFetch,
    Map<String, List<Integer>> groups,
    Map<String, List<Integer>> experts) {}
