package dev.smelt.store.snapshot;

import java.time.Instant;
import java.util.Optional;

/**
 * One move of a ref, or the removal of a snapshot.
 *
 * @param sequence counts the model's moves from 1, without holes
 * @param at when; never earlier than the entry before
 * @param ref which was moved; {@code snapshots/ID} for a removal
 * @param from what it pointed to before
 * @param to what it points to since; empty if it was removed
 * @param reason who moved it, and why
 */
public record LogEntry(
    long sequence,
    Instant at,
    String ref,
    Optional<String> from,
    Optional<String> to,
    Reason reason) {}
